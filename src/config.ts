/**
 * The only reader of the environment and of the configuration file. Everything that is wrong is reported together.
 * Environment variables hold what is short or secret; the optional file holds named OpenAI-compatible providers.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ProviderSettings } from './application/provider.ts';
import { type ConfigFile, httpUrl, rawCallsSchema, readConfigFile } from './config-file.ts';
import type { ContractPrice } from './domain/contract-price.ts';
import { type Issue, PromptgateError } from './domain/errors.ts';
import { nearestName } from './domain/names.ts';

/** Of this program, from its package. */
export const version: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version;

interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly fallback: T;
  readonly about: string;
  readonly secret?: boolean;
}

const milliseconds = z.coerce.number().int().min(1).max(600_000);
const byteCount = z.coerce.number().int().min(1_048_576).max(1_099_511_627_776);
const optionalText = z.string().min(1).optional();

function setting<T>(fallback: T, schema: z.ZodType<T>, about: string, secret = false): Setting<T> {
  return { fallback, schema, about, secret };
}

/** Every environment variable that promptgate reads, in the order `promptgate config` prints them. */
export const settings = {
  PORT: setting(8080, z.coerce.number().int().min(0).max(65_535), 'Port to listen on; 0 takes a free one.'),
  HOST: setting('127.0.0.1', z.string().min(1), 'Address to listen on; 0.0.0.0 for every interface.'),
  DATABASE_URL: setting(
    undefined,
    z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }).optional(),
    'PostgreSQL 14 or newer. `dev` uses an embedded database when it is absent.',
    true,
  ),
  PROMPTGATE_DATA_DIR: setting('.promptgate', z.string().min(1), 'Where the embedded database lives.'),
  PROMPTGATE_PROMPTS_DIR: setting('prompts', z.string().min(1), 'Directory of the definition files.'),
  PROMPTGATE_CONFIG: setting(
    'promptgate.yaml',
    z.string().min(1),
    'Configuration file for named providers, contract prices and `raw`; it may be absent.',
  ),
  OPENAI_API_KEY: setting(undefined, optionalText, 'Key for the provider `openai`.', true),
  OPENAI_BASE_URL: setting('https://api.openai.com/v1', httpUrl, 'Any server that speaks the OpenAI wire.'),
  OPENAI_WIRE: setting(
    'openai',
    z.enum(['openai', 'openai-responses']),
    'Wire of the provider `openai`: `openai` (Chat Completions) or `openai-responses`.',
  ),
  ANTHROPIC_API_KEY: setting(undefined, optionalText, 'Key for the provider `anthropic`.', true),
  ANTHROPIC_BASE_URL: setting(
    'https://api.anthropic.com',
    httpUrl,
    'Any server that speaks the Anthropic wire.',
  ),
  PROMPTGATE_EXECUTION_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    'Deadline of an execution, all attempts together, unless its definition states one.',
  ),
  PROMPTGATE_CONNECT_TIMEOUT_MS: setting(5_000, milliseconds, 'Bound on connecting to a provider.'),
  PROMPTGATE_FIRST_BYTE_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    "Bound on the wait for a provider's headers.",
  ),
  PROMPTGATE_FIRST_TOKEN_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    'Bound on the wait for the first content of a stream.',
  ),
  PROMPTGATE_IDLE_TIMEOUT_MS: setting(
    20_000,
    milliseconds,
    'Bound on the pause between two contents of a stream.',
  ),
  PROMPTGATE_RAW: setting(
    'refuse',
    rawCallsSchema,
    'Calls that bring a model and a prompt of their own: `refuse`, or `audit`: let through, with rows marked `raw`.',
  ),
  PROMPTGATE_MAX_BODY_BYTES: setting(
    1_048_576,
    z.coerce.number().int().min(1_024).max(67_108_864),
    'Largest request body that is read.',
  ),
  PROMPTGATE_AUDIT_MODE: setting(
    'strict',
    z.enum(['strict', 'spool']),
    'When the database is away: `strict` refuses calls (503), `spool` records them in a local journal.',
  ),
  PROMPTGATE_AUDIT_TIMEOUT_MS: setting(
    5_000,
    milliseconds,
    'How long a call may wait for its intent or its outcome to be durable; then 503.',
  ),
  PROMPTGATE_AUDIT_SETTLE_TIMEOUT_MS: setting(
    60_000,
    milliseconds,
    'How long an outcome is tried to be written before it is recorded as `unknown`.',
  ),
  PROMPTGATE_AUDIT_MAX_OPEN: setting(
    5_000,
    z.coerce.number().int().min(1).max(1_000_000),
    'Executions that may be admitted and not yet recorded at one time; more are refused (503).',
  ),
  PROMPTGATE_AUDIT_MAX_OPEN_BYTES: setting(
    268_435_456,
    byteCount,
    'Memory that their records may take; more are refused (503).',
  ),
  PROMPTGATE_SPOOL_MAX_BYTES: setting(
    268_435_456,
    byteCount,
    'Size of the journal of the mode `spool`, in PROMPTGATE_DATA_DIR/spool; when it is full, 503.',
  ),
  PROMPTGATE_SPOOL_MAX_AGE_MS: setting(
    3_600_000,
    z.coerce.number().int().min(1_000).max(604_800_000),
    'Age of its oldest record from which nothing more is admitted (503).',
  ),
  PROMPTGATE_RETENTION_MONTHS: setting(
    undefined,
    z.coerce.number().int().min(1).max(1_200).optional(),
    'Whole months of executions to keep before the current one; older ones are dropped daily. Default: all.',
  ),
  PROMPTGATE_DRAIN_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    'How long calls in flight may take to end after SIGTERM; then they are cancelled and recorded.',
  ),
  PROMPTGATE_EVAL_JAVASCRIPT: setting(
    'off',
    z.enum(['off', 'on']),
    'Whether `javascript` assertions of suites may run, in a process without files, network or processes.',
  ),
  PROMPTGATE_LOG_LEVEL: setting(
    'info',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    'Least severe line that is logged.',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(
    undefined,
    httpUrl.optional(),
    'OTLP/HTTP receiver of traces; without it none are made. The other standard variables of the exporter hold too.',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: setting(
    undefined,
    httpUrl.optional(),
    'Whole address for traces; instead of OTEL_EXPORTER_OTLP_ENDPOINT.',
  ),
  OTEL_TRACES_SAMPLER_ARG: setting(
    1,
    z.coerce.number().min(0).max(1),
    "Share of the traces that begin here that is exported; a caller's own decision comes first.",
  ),
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: setting(
    'false',
    z.enum(['true', 'false']),
    'Export variables, messages and outputs with the traces too.',
  ),
  PROMPTGATE_URL: setting(undefined, httpUrl.optional(), 'A running gateway for the CLI to talk to.'),
  PROMPTGATE_KEY: setting(undefined, optionalText, 'Key that the CLI sends to PROMPTGATE_URL.', true),
} satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof settings;
type SettingValues = { readonly [K in SettingName]: z.infer<(typeof settings)[K]['schema']> };

export interface ConfigEntry {
  readonly name: string;
  /** As it may be shown: secrets are masked. */
  readonly value: string | null;
  readonly from: string;
  readonly about: string;
}

export interface Config {
  readonly values: SettingValues;
  /** Providers with a key or an address of their own. Empty: nothing is configured. */
  readonly providers: readonly ProviderSettings[];
  /** Effective values for people, secrets masked. */
  readonly entries: readonly ConfigEntry[];
}

/**
 * @throws PromptgateError invalid_request — with one issue for everything that is wrong, secrets never shown
 */
export function loadConfig(environment: NodeJS.ProcessEnv, directory: string): Config {
  const issues: Issue[] = unknownSettings(environment);
  const read = readSettings(environment, issues);
  const file = readConfigFile(directory, read.values.PROMPTGATE_CONFIG, {
    named: Boolean(environment.PROMPTGATE_CONFIG),
    issues,
  });
  const { values, entries } = withRawOf(file, environment, read);
  const providers = [...builtInProviders(values, environment)];
  const placeOf = (...path: string[]) => file?.place(['providers', ...path]) ?? '';
  for (const [name, provider] of Object.entries(file?.providers ?? {})) {
    if (name === 'openai' || name === 'anthropic') {
      issues.push({ path: placeOf(name), message: 'is built in; set it with environment variables' });
      continue;
    }
    const key = provider.key_variable === undefined ? 'none' : environment[provider.key_variable];
    if (!key) {
      issues.push({ path: placeOf(name, 'key_variable'), message: `${provider.key_variable} is not set` });
      continue;
    }
    providers.push({
      ...timeouts(values),
      name,
      wire: provider.wire,
      baseUrl: provider.base_url,
      apiKey: key,
      modelPrefixes: provider.model_prefixes,
      simulated: false,
    });
  }
  for (const [index, { provider }] of (file?.prices ?? []).entries()) {
    if (['openai', 'anthropic', ...providers.map(({ name }) => name)].includes(provider)) continue;
    const message = `"${provider}" is not a configured provider`;
    issues.push({ path: file?.place(['prices', index, 'provider']) ?? '', message });
  }
  if (issues.length > 0) {
    throw new PromptgateError('invalid_request', 'The configuration is wrong.', { issues });
  }
  const prices = file?.prices ?? [];
  return {
    values,
    providers: providers.map((provider) => withPrices(provider, prices)),
    entries: [...entries, ...providers.map(describeProvider), ...prices.map(describePrice)],
  };
}

/** The one setting that the file may hold as well; the environment beats it. */
function withRawOf(
  file: ConfigFile | undefined,
  environment: NodeJS.ProcessEnv,
  { values, entries }: { values: SettingValues; entries: ConfigEntry[] },
) {
  const name = 'PROMPTGATE_RAW';
  if (!file?.raw || environment[name]) return { values, entries };
  const { raw } = file;
  const told = entries.map((entry) => (entry.name === name ? { ...entry, value: raw, from: 'file' } : entry));
  return { values: { ...values, [name]: raw }, entries: told };
}

/** An address without its user, password and query: each may hold a secret. */
function maskUrl(value: string): string {
  return value.replace(/^([\w+.-]+:\/\/)[^/?#]*@/, '$1•••@').replace(/\?.*$/, '?•••');
}

/** A value as it may be shown. */
function mask(definition: Setting<unknown>, value: string): string {
  if (URL.canParse(value) && value.includes('://')) return maskUrl(value);
  if (!definition.secret) return value;
  return `${value.slice(0, Math.min(4, Math.floor(value.length / 4)))}•••`;
}

function readSettings(environment: NodeJS.ProcessEnv, issues: Issue[]) {
  const values: Record<string, unknown> = {};
  const entries: ConfigEntry[] = [];
  for (const [name, definition] of Object.entries(settings) as [SettingName, Setting<unknown>][]) {
    const given = environment[name];
    const isSet = given !== undefined && given !== '';
    const parsed = isSet ? definition.schema.safeParse(given) : undefined;
    if (parsed && !parsed.success) {
      issues.push({ path: name, message: parsed.error.issues[0]?.message ?? 'is not valid' });
    }
    const value = parsed?.success ? parsed.data : definition.fallback;
    values[name] = value;
    entries.push({
      name,
      value: value === undefined ? null : mask(definition, String(value)),
      from: isSet ? 'environment' : 'default',
      about: definition.about,
    });
  }
  return { values: values as unknown as SettingValues, entries };
}

/** A misspelt setting would otherwise be ignored in silence. */
function unknownSettings(environment: NodeJS.ProcessEnv): Issue[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('PROMPTGATE_') && !(name in settings))
    .map((name) => {
      const hint = nearestName(name, Object.keys(settings));
      return { path: name, message: `is not a setting${hint ? `; did you mean ${hint}?` : ''}` };
    });
}

/** A base URL alone is enough: many servers that speak the wire want no key. */
function* builtInProviders(
  values: SettingValues,
  environment: NodeJS.ProcessEnv,
): Generator<ProviderSettings> {
  if (values.OPENAI_API_KEY || environment.OPENAI_BASE_URL) {
    yield {
      ...timeouts(values),
      name: 'openai',
      wire: values.OPENAI_WIRE,
      baseUrl: values.OPENAI_BASE_URL,
      apiKey: values.OPENAI_API_KEY ?? 'none',
      modelPrefixes: openaiPrefixes,
      simulated: false,
    };
  }
  if (values.ANTHROPIC_API_KEY || environment.ANTHROPIC_BASE_URL) {
    yield {
      ...timeouts(values),
      name: 'anthropic',
      wire: 'anthropic',
      baseUrl: values.ANTHROPIC_BASE_URL,
      apiKey: values.ANTHROPIC_API_KEY ?? 'none',
      modelPrefixes: anthropicPrefixes,
      simulated: false,
    };
  }
}

function withPrices(provider: ProviderSettings, prices: readonly ContractPrice[]): ProviderSettings {
  const own = prices.filter((price) => price.provider === provider.name);
  return own.length === 0 ? provider : { ...provider, prices: own };
}

function describePrice({ provider, model, currency, source, since }: ContractPrice): ConfigEntry {
  const from = since ? ` from ${since.toISOString().slice(0, 10)} on` : '';
  return {
    name: `price ${provider}/${model}`,
    value: `${currency}, ${source}${from}`,
    from: 'file',
    about: 'What the configuration says that a model costs.',
  };
}

const openaiPrefixes = ['gpt-', 'chatgpt-', 'o1', 'o3', 'o4', 'ft:gpt-'];
const anthropicPrefixes = ['claude-'];

/** The two built-in providers, answered by the simulated provider that listens at `url`. */
export function simulatedProviders(values: SettingValues, url: string): ProviderSettings[] {
  const common = { ...timeouts(values), apiKey: 'simulated', simulated: true };
  return [
    {
      ...common,
      name: 'openai',
      wire: values.OPENAI_WIRE,
      baseUrl: `${url}/v1`,
      modelPrefixes: openaiPrefixes,
    },
    { ...common, name: 'anthropic', wire: 'anthropic', baseUrl: url, modelPrefixes: anthropicPrefixes },
  ];
}

function timeouts(values: SettingValues) {
  return {
    connectTimeoutMs: values.PROMPTGATE_CONNECT_TIMEOUT_MS,
    firstByteTimeoutMs: values.PROMPTGATE_FIRST_BYTE_TIMEOUT_MS,
    firstTokenTimeoutMs: values.PROMPTGATE_FIRST_TOKEN_TIMEOUT_MS,
    idleTimeoutMs: values.PROMPTGATE_IDLE_TIMEOUT_MS,
  };
}

function describeProvider(provider: ProviderSettings): ConfigEntry {
  return {
    name: `provider ${provider.name}`,
    value: `${provider.wire} wire at ${maskUrl(provider.baseUrl)}, models ${provider.modelPrefixes.map((p) => `${p}*`).join(' ') || `${provider.name}/*`}`,
    from: provider.name === 'openai' || provider.name === 'anthropic' ? 'environment' : 'file',
    about: 'Configured provider.',
  };
}
