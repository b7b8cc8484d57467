/**
 * Which keys of a foreign request may stand beside the name of a prompt. What the definition governs is refused, not
 * ignored: a caller that sets a temperature has to know that it does not count.
 */
import { PromptgateError } from '../domain/errors.ts';
import type { Json } from '../domain/json.ts';

export interface BodyKeys {
  /** Read by the route, or without effect on the answer. */
  readonly passes: readonly string[];
  /** What the version of the prompt decides. */
  readonly governed: readonly string[];
  /** What this gateway does not do, with a sentence that says so. */
  readonly unsupported: Readonly<Record<string, string>>;
  /** Values that ask for what happens anyway. */
  readonly harmless?: Readonly<Record<string, Json>>;
}

/** @param base what stands before each key in a place, e.g. `text.` @throws PromptgateError invalid_request — with an issue for each */
export function refuseOtherKeys(body: object, keys: BodyKeys, base = ''): void {
  const issues = Object.entries(body).flatMap(([path, value]) => {
    if (keys.passes.includes(path) || asksForNothing(value, keys.harmless, path)) return [];
    return [{ path: `${base}${path.slice(0, 100)}`, message: complaintOf(path, keys) }];
  });
  const [first] = issues;
  if (!first) return;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  throw new PromptgateError('invalid_request', `${first.path}: ${first.message}${more}`, {
    issues: issues.slice(0, 20),
  });
}

/** The keys of a request that brings its own prompt: nothing governs it, but it is carried in our words or not at all. */
export function toRawKeys({ passes, governed, unsupported, harmless }: BodyKeys): BodyKeys {
  const others = governed
    .filter((key) => key !== rawToolChoice)
    .map((key) => [key, 'this gateway does not carry it; leave it out.']);
  return {
    passes: [...passes.filter((key) => !namesPrompt.test(key)), rawToolChoice],
    governed: [],
    unsupported: { ...Object.fromEntries(others), ...unsupported },
    ...(harmless ? { harmless } : {}),
  };
}

/** As each API calls it. */
export const rawToolChoice = 'tool_choice';

const namesPrompt = /^(prompt(_id|_version|_variables)?|variables)$/;

function complaintOf(path: string, { governed, unsupported }: BodyKeys): string {
  if (governed.includes(path)) return 'the definition of the prompt governs this; leave it out.';
  if (Object.hasOwn(unsupported, path)) return unsupported[path]!;
  return 'this is not known here; leave it out.';
}

/** Where one value asks for what happens anyway, every other one is a wish: `parallel_tool_calls: false`, too. */
function asksForNothing(value: unknown, harmless: BodyKeys['harmless'] = {}, path: string): boolean {
  if (!Object.hasOwn(harmless, path)) return saysNothing(value);
  return value === null || value === undefined || JSON.stringify(value) === JSON.stringify(harmless[path]);
}

/**
 * What may be said in several places is said in one: nothing is dropped in silence.
 * @throws PromptgateError invalid_request — two of the places say something
 */
export function readOneOf<T>(
  places: Readonly<Record<string, T | null | undefined>>,
): { readonly path: string; readonly value: T } | undefined {
  const [said, other] = Object.entries(places).filter(([, value]) => !saysNothing(value));
  if (other) {
    const [[first], [path]] = [said!, other];
    const message = `expected nothing beside ${first}`;
    throw new PromptgateError('invalid_request', `${path}: ${message}.`, { issues: [{ path, message }] });
  }
  return said && { path: said[0], value: said[1] as T };
}

/** Clients send what nobody set: null, false, empty lists and objects. */
export function saysNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
