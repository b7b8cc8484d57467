/**
 * The only reader of the environment and of the configuration file. Everything that is wrong is reported together.
 * Environment variables hold what is short or secret; the optional file holds named OpenAI-compatible providers.
 */
import { readFileSync } from 'node:fs';
import type { ProviderSettings } from './application/provider.ts';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import type { ContractPrice } from './domain/contract-price.ts';
import { type Issue, PromptgateError } from './domain/errors.ts';
import { nearestName } from './domain/names.ts';
import { type Setting, type SettingName, type SettingValues, settings } from './settings.ts';

/** Of this program, from its package. */
export const version: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version;

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
  if (Boolean(values.PROMPTGATE_WEBHOOK_URL) !== Boolean(values.PROMPTGATE_WEBHOOK_SECRET)) {
    issues.push({
      path: 'PROMPTGATE_WEBHOOK_URL',
      message: 'needs PROMPTGATE_WEBHOOK_SECRET, and the other way round',
    });
  }
  if (values.PROMPTGATE_COSTS_SCHEDULE !== 'off' && !values.PROMPTGATE_WEBHOOK_URL) {
    issues.push({ path: 'PROMPTGATE_COSTS_SCHEDULE', message: 'needs PROMPTGATE_WEBHOOK_URL to post to' });
  }
  issues.push(...findUnspokenProtocol(values));
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

/** Where traces go, which, and with what; null where nobody wants them. */
export function traceSettingsOf(values: SettingValues) {
  if (values.OTEL_SDK_DISABLED === 'true' || values.OTEL_TRACES_EXPORTER === 'none') return null;
  const base = values.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/$/, '');
  const url = values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base && `${base}/v1/traces`);
  if (!url) return null;
  return {
    url,
    sampler: values.OTEL_TRACES_SAMPLER,
    ratio: values.OTEL_TRACES_SAMPLER_ARG,
    content: values.OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT === 'true',
  };
}

/** A receiver that waits for gRPC would be posted to in vain, and nobody be told. */
function findUnspokenProtocol(values: SettingValues): Issue[] {
  const own = values.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL;
  if ((own ?? values.OTEL_EXPORTER_OTLP_PROTOCOL) !== 'grpc' || traceSettingsOf(values) === null) return [];
  const path = own ? 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL' : 'OTEL_EXPORTER_OTLP_PROTOCOL';
  return [
    {
      path,
      message:
        'is grpc, and traces go over HTTP only; name the HTTP port of the receiver (4318) and http/json',
    },
  ];
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
