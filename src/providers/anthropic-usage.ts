/** Anthropic's counts of tokens as ours. */
import type { JsonObject } from '../domain/json.ts';
import type { Usage } from '../domain/usage.ts';
import { readCount } from './wire.ts';

/** `input_tokens` excludes cache reads and writes: the three are summed. */
export function toAnthropicUsage(raw: JsonObject | null): Usage {
  const sent = raw ?? {};
  const input = readCount(sent, 'input_tokens');
  const read = readCount(sent, 'cache_read_input_tokens');
  const written = readCount(sent, 'cache_creation_input_tokens');
  return {
    promptTokens: input === null ? null : input + (read ?? 0) + (written ?? 0),
    completionTokens: readCount(sent, 'output_tokens'),
    cachedTokens: read,
    cacheWriteTokens: written,
    reasoningTokens: readCount(sent.output_tokens_details, 'thinking_tokens'),
  };
}
