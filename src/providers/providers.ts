/** Which provider takes a model name, and the call under the retry policy. Implements the port `Providers`. */
import type {
  AttemptControl,
  ModelRoute,
  ProviderCall,
  ProviderResult,
  ProviderSettings,
  Providers,
  Wire,
} from '../application/provider.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Parameters } from '../domain/prompt-version.ts';
import { createAnthropicClient } from './anthropic.ts';
import { createHttpClient, type Fetch, type HttpClient } from './http-client.ts';
import { createOpenaiClient } from './openai.ts';
import { createOpenaiResponsesClient } from './openai-responses.ts';
import { callWithRetries, type RetryDependencies } from './retry.ts';
import { unsupportedContent, unsupportedParameters, type WireAnswer, type WireClient } from './wire.ts';

export interface ProvidersDependencies extends RetryDependencies {
  /** Stands in for the network in tests. */
  readonly fetch?: Fetch;
}

export interface ClosableProviders extends Providers {
  /** Ends the connections; requests in flight fail. */
  close(): Promise<void>;
}

interface ConfiguredProvider {
  readonly settings: ProviderSettings;
  readonly client: WireClient;
  readonly close: () => Promise<void>;
}

/** One client and one connection pool per provider, made here and kept. */
export function createProviders(
  settings: readonly ProviderSettings[],
  deps: ProvidersDependencies = {},
): ClosableProviders {
  const configured = new Map(settings.map((one) => [one.name, configure(one, deps)]));
  return {
    route: (model) => route(settings, model),
    provider: (name) => configured.get(name)?.settings,
    problemsOf: (model, parameters) => problemsOf(settings, model, parameters),
    call: (call, control) =>
      callProvider(configured.get(call.route.provider), call, control, deps, ({ client }, signal) =>
        client.request(call, signal),
      ),
    stream: (call, control) =>
      callProvider(configured.get(call.route.provider), call, control, deps, ({ client, settings }, signal) =>
        client.stream(call, signal, { ...settings, onDelta: control.onDelta, onUsage: control.onUsage }),
      ),
    async close() {
      await Promise.all([...configured.values()].map((provider) => provider.close()));
    },
  };
}

function configure(settings: ProviderSettings, deps: ProvidersDependencies): ConfiguredProvider {
  const http = createHttpClient({ ...settings, fetch: deps.fetch });
  return { settings, client: clients[settings.wire](settings, http), close: http.close };
}

const clients: Readonly<Record<Wire, (settings: ProviderSettings, http: HttpClient) => WireClient>> = {
  openai: createOpenaiClient,
  'openai-responses': createOpenaiResponsesClient,
  anthropic: createAnthropicClient,
};

/** `<provider>/<model>` first; else the provider with the longest prefix of the name, the earlier one on a tie. */
function route(settings: readonly ProviderSettings[], model: string): ModelRoute | undefined {
  const slash = model.indexOf('/');
  const named = slash > 0 ? settings.find(({ name }) => name === model.slice(0, slash)) : undefined;
  if (named) {
    const rest = model.slice(slash + 1);
    return rest === '' ? undefined : toRoute(named, rest);
  }
  let best: { provider: ProviderSettings; length: number } | undefined;
  for (const provider of settings) {
    for (const prefix of provider.modelPrefixes) {
      if (model.startsWith(prefix) && prefix.length > (best?.length ?? 0)) {
        best = { provider, length: prefix.length };
      }
    }
  }
  return best && toRoute(best.provider, model);
}

function toRoute(provider: ProviderSettings, model: string): ModelRoute {
  const { name, simulated, baseUrl, prices } = provider;
  return { provider: name, model, simulated, baseUrl, ...(prices ? { prices } : {}) };
}

async function callProvider(
  provider: ConfiguredProvider | undefined,
  call: ProviderCall,
  control: AttemptControl,
  deps: RetryDependencies,
  request: (provider: ConfiguredProvider, signal: AbortSignal) => Promise<WireAnswer>,
): Promise<ProviderResult> {
  const refusal = provider ? refuse(provider.settings, call) : unknownProvider(call.route);
  if (!provider || refusal) return { ok: false, error: refusal ?? unknownProvider(call.route), attempts: [] };
  return callWithRetries((signal) => request(provider, signal), control, deps);
}

function problemsOf(settings: readonly ProviderSettings[], model: string, parameters: Parameters): string[] {
  const target = route(settings, model);
  const provider = settings.find(({ name }) => name === target?.provider);
  if (!provider) return [`no configured provider takes the model "${model}"`];
  const names = unsupportedParameters(provider.wire, parameters);
  if (names.length === 0) return [];
  return [`the ${provider.wire} wire cannot carry ${names.join(', ')}`];
}

function refuse(settings: ProviderSettings, call: ProviderCall): PromptgateError | undefined {
  const names = unsupportedParameters(settings.wire, call.parameters);
  const content = unsupportedContent(settings.wire, call.messages);
  if (names.length === 0 && content.length > 0) {
    return new PromptgateError(
      'provider_rejected',
      `The ${settings.wire} wire cannot carry ${content.join(', ')}. Send it in another form; no request was made.`,
    );
  }
  if (names.length === 0) return undefined;
  return new PromptgateError(
    'provider_rejected',
    `The ${settings.wire} wire cannot carry ${names.join(', ')}. Remove it from the definition; no request was made.`,
  );
}

function unknownProvider(route: ModelRoute): PromptgateError {
  return new PromptgateError('provider_misconfigured', `No provider "${route.provider}" is configured.`);
}
