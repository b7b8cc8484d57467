/** Shared by the provider tests: calls and settings with everything filled in. */
import type { AttemptControl, ProviderCall, ProviderSettings, Wire } from '../../src/application/provider.ts';

export const testKey = 'sk-test-0123456789abcdef';

export function settingsOf(
  wire: Wire,
  baseUrl: string,
  more: Partial<ProviderSettings> = {},
): ProviderSettings {
  return {
    name: wire,
    wire,
    baseUrl,
    apiKey: testKey,
    modelPrefixes: wire === 'anthropic' ? ['claude-'] : ['gpt-', 'o1', 'o3'],
    simulated: false,
    connectTimeoutMs: 1_000,
    firstByteTimeoutMs: 5_000,
    firstTokenTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    ...more,
  };
}

export function callOf(provider: string, model: string, more: Partial<ProviderCall> = {}): ProviderCall {
  return {
    route: { provider, model, simulated: false },
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Say hello.' },
    ],
    parameters: {},
    tools: [],
    output: { format: 'text', schema: null },
    ...more,
  };
}

export function controlOf(more: Partial<AttemptControl> = {}): AttemptControl {
  return {
    signal: new AbortController().signal,
    deadlineMs: 5_000,
    beforeAttempt: async () => {},
    ...more,
  };
}

/** The shipped policy without its waits. */
export const noWaits = { random: () => 0 };
