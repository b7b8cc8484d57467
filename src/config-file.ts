/** The configuration file: named providers, what models cost, and whether raw calls are taken. Whatever is wrong in it is named with its line. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import type { RawCalls } from './application/execute-prompt.ts';
import { wires } from './application/provider.ts';
import { hashJson } from './domain/canonical-json.ts';
import { type ContractPrice, contractKinds, isAmount, toContractPrices } from './domain/contract-price.ts';
import type { Issue } from './domain/errors.ts';
import type { Json } from './domain/json.ts';

/** Numbers are taken as their shortest text, which is what was written. */
const amount = z
  .union([z.number(), z.string()])
  .transform(String)
  .refine(isAmount, 'must be an amount like 0.15: not negative, at most twelve decimals');

const statedPrice = z.union([
  amount,
  z.strictObject({
    base: amount,
    above: z.record(z.string().regex(/^[1-9]\d{0,11}$/, 'is a number of prompt tokens'), amount),
  }),
]);

type Kind = keyof typeof contractKinds;
const kinds = Object.keys(contractKinds) as Kind[];
const optionalPrices = Object.fromEntries(kinds.map((kind) => [kind, statedPrice.optional()])) as Record<
  Kind,
  z.ZodOptional<typeof statedPrice>
>;
/** Without a price of its input and its output nothing could be priced. */
const stated = { ...optionalPrices, input: statedPrice, output: statedPrice };

const priceSchema = z.strictObject({
  provider: z.string().min(1),
  model: z.string().regex(/^[^*]*\*?$/, 'may have one * at its end'),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'is a code of three letters, e.g. EUR')
    .default('USD'),
  since: z.iso
    .date('is a day, e.g. 2026-10-01')
    .transform((day) => new Date(`${day}T00:00:00Z`))
    .optional(),
  ...stated,
  service_tiers: z.record(z.string().min(1), z.strictObject(stated)).default({}),
});

export const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' });

export const rawCallsSchema = z.enum(['refuse', 'audit']);

const fileSchema = z.strictObject({
  raw: rawCallsSchema.optional(),
  providers: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'a provider name has lower-case letters, digits and dashes'),
      z.strictObject({
        wire: z.enum(wires).default('openai'),
        base_url: httpUrl,
        key_variable: z.string().min(1).optional(),
        model_prefixes: z.array(z.string().min(1)).default([]),
      }),
    )
    .default({}),
  prices: z.array(priceSchema).default([]),
});

export interface ConfigFile {
  readonly raw?: RawCalls | undefined;
  readonly providers: z.infer<typeof fileSchema>['providers'];
  readonly prices: readonly ContractPrice[];
  /** Where something in it stands, e.g. `promptgate.yaml:3:5: providers.local`. */
  place(path: readonly PropertyKey[]): string;
}

/** @returns undefined when there is none, or when it is wrong: then `issues` says where */
export function readConfigFile(
  directory: string,
  name: string,
  { named, issues }: { named: boolean; issues: Issue[] },
): ConfigFile | undefined {
  const path = resolve(directory, name);
  if (!existsSync(path)) {
    if (named) issues.push({ path: 'PROMPTGATE_CONFIG', message: 'names no file' });
    return undefined;
  }
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(path, 'utf8'), {
    strict: true,
    uniqueKeys: true,
    lineCounter: lines,
  });
  const [fault] = document.errors;
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    issues.push({ path: `${name}:${line}:${col}`, message: 'is not valid YAML' });
    return undefined;
  }
  const place = (at: readonly PropertyKey[]) => {
    const { line, col } = lines.linePos(offsetOf(document, at));
    return `${name}:${line}:${col}: ${at.map(String).join('.') || '(top)'}`;
  };
  const parsed = fileSchema.safeParse(document.toJS() ?? {});
  if (parsed.success) return { ...parsed.data, prices: parsed.data.prices.map(toContractPrice), place };
  for (const issue of parsed.error.issues) {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : [];
    for (const key of unknown) {
      issues.push({ path: place([...issue.path, key]), message: 'is not a member of this part' });
    }
    if (unknown.length === 0) issues.push({ path: place(issue.path), message: issue.message });
  }
  return undefined;
}

/** Of the key where there is one; of something that is missing, of what lacks it. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  const parent = document.getIn(path.slice(0, -1), true);
  const key = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isNode(item.key) && String(item.key) === String(key));
    if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
  }
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

type StatedPrices = z.infer<z.ZodObject<typeof stated>>;

function toContractPrice(entry: z.infer<typeof priceSchema>): ContractPrice {
  const { provider, model, currency, since, service_tiers, ...standard } = entry;
  return {
    provider,
    model,
    currency,
    since: since ?? null,
    tiers: new Map([['standard', toPrices(standard)], ...tiersOf(service_tiers)]),
    source: `config@${hashJson(JSON.parse(JSON.stringify(entry)) as Json).slice(0, 12)}`,
  };
}

function tiersOf(tiers: Readonly<Record<string, StatedPrices>>) {
  return Object.entries(tiers).map(([tier, prices]) => [tier, toPrices(prices)] as const);
}

function toPrices(prices: StatedPrices) {
  const given = Object.entries(prices).filter(([, price]) => price !== undefined);
  return toContractPrices(Object.fromEntries(given) as Parameters<typeof toContractPrices>[0]);
}
