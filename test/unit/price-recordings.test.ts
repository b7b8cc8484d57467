/**
 * What real answers cost, three times: worked out by hand from the prices that the providers publish, by plain code over
 * the same prices, and by the product. The second of three opinions knows neither genai-prices nor the product.
 */
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { computePrice } from '../../src/domain/price.ts';
import { noUsage } from '../../src/domain/usage.ts';
import { assembleAnthropicStream } from '../../src/providers/anthropic-stream.ts';
import { OpenaiStreamAssembler } from '../../src/providers/openai-stream.ts';
import { SseParser } from '../../src/providers/sse-parser.ts';
import {
  loadRecordings,
  type Recording,
  recordingsAbsent,
  recordingsArePresent,
} from '../support/recordings.ts';

/**
 * Dollars per million tokens on the providers' price pages: input, cached input, cache write, cache write for an hour,
 * output; then dollars per thousand web searches.
 */
const published: Readonly<Record<string, readonly (number | null)[]>> = {
  'gpt-3.5-turbo-0613': [1.5, null, null, null, 2, null],
  'gpt-4-1106-vision-preview': [10, null, null, null, 30, null],
  'gpt-4o': [2.5, 1.25, null, null, 10, null],
  'gpt-4o-mini': [0.15, 0.075, null, null, 0.6, null],
  'gpt-5-nano': [0.05, 0.005, null, null, 0.4, null],
  'gpt-5.6-sol before 2026-08-21': [5, 0.5, 6.25, null, 30, null],
  'gpt-audio-mini': [0.6, null, null, null, 2.4, null],
  'claude-3-7-sonnet': [3, 0.3, 3.75, 6, 15, 10],
  'claude-sonnet-4-5': [3, 0.3, 3.75, 6, 15, 10],
  'claude-sonnet-4-5 beyond 200k': [6, 0.6, 7.5, 12, 22.5, 10],
  'claude-sonnet-4-6': [3, 0.3, 3.75, 6, 15, 10],
  'claude-sonnet-5': [2, 0.2, 2.5, 4, 10, 10],
  'claude-haiku-4-5': [1, 0.1, 1.25, 2, 5, 10],
  'claude-opus-4-5': [5, 0.5, 6.25, 10, 25, 10],
  'claude-opus-4-6': [5, 0.5, 6.25, 10, 25, 10],
  'claude-opus-4-8': [5, 0.5, 6.25, 10, 25, 10],
  'claude-fable-5': [10, 1, 12.5, 20, 50, 10],
};

/** Id, by hand (per million, unless it says otherwise), dollars. */
const byHand: readonly (readonly [id: string, arithmetic: string, dollars: string])[] = [
  ['oai-chat-basic-gpt4o-mini', '22 × 0.15 + 3 × 0.6', '0.0000051'],
  ['oai-chat-developer-role', '31 × 0.15 + 4 × 0.6', '0.00000705'],
  ['oai-chat-json-object', '33 × 0.15 + 12 × 0.6', '0.00001215'],
  ['oai-chat-json-schema', '69 × 0.15 + 8 × 0.6', '0.00001515'],
  ['oai-chat-stream-include-usage', '22 × 0.15 + 3 × 0.6', '0.0000051'],
  ['oai-chat-stream-n2', '26 × 0.15 + 104 × 0.6', '0.0000663'],
  ['oai-chat-stream-real-chunks-gpt4o', '28 × 2.5 + 14 × 10', '0.00021'],
  ['oai-chat-refusal', '65 × 2.5 + 13 × 10', '0.0002925'],
  // 1152 of the 1220 were cached: part of the prompt, at half its price.
  ['oai-chat-cache-read', '68 × 2.5 + 1152 × 1.25 + 100 × 10', '0.00261'],
  // 1217 of the 1220 were written to the cache, at 1.25 of the input price; at the prices of the day, July 2026.
  ['oai-chat-gpt56-cache-write', '3 × 5 + 1217 × 6.25 + 100 × 30', '0.01062125'],
  // Reasoning is part of the output and costs the same.
  ['oai-chat-basic-gpt5-nano', '8 × 0.05 + 377 × 0.4', '0.0001512'],
  ['oai-chat-parallel-tools', '162 × 0.05 + 219 × 0.4', '0.0000957'],
  ['oai-chat-reasoning-effort', '27 × 0.05 + 267 × 0.4', '0.00010815'],
  ['oai-chat-image-input', '22 × 0.05 + 719 × 0.4', '0.0002887'],
  // Flex costs half.
  ['oai-chat-service-tier-flex', '8 × 0.025 + 296 × 0.2', '0.0000594'],
  ['oai-chat-legacy-function-call', '157 × 1.5 + 57 × 2', '0.0003495'],
  ['oai-chat-finish-reason-null', '1118 × 10 + 16 × 30', '0.01166'],
  // 37 of the 53 are audio, at 10 a million; the rest is text.
  ['oai-chat-usage-text-image-tokens', '16 × 0.6 + 37 × 10 + 123 × 2.4', '0.0006748'],
  ['azure-chat-basic', '8 × 0.05 + 271 × 0.4', '0.0001088'],
  ['azure-usage-latency-checkpoint', '50 × 0.05 + 4600 × 0.4', '0.0018425'],
  ['sdk-oai-chat-stream-d6155801', '19 × 2.5 + 177 × 10', '0.0018175'],
  ['ant-basic', '16 × 1 + 13 × 5', '0.000081'],
  ['ant-200-with-retry-after', '11 × 3 + 55 × 15', '0.000858'],
  ['ant-tools', '721 × 3 + 112 × 15', '0.003843'],
  ['ant-fable5', '920 × 10 + 50 × 50', '0.0117'],
  ['ant-thinking-redacted', '92 × 3 + 196 × 15', '0.003216'],
  // Written for five minutes: on top of the 2 input tokens, at 1.25 of their price.
  ['ant-thinking-tokens', '2 × 5 + 1590 × 6.25 + 4 × 25', '0.0100475'],
  // Written for an hour: at twice the price.
  ['ant-stream-billing-cache-1h', '11 × 1 + 16522 × 2 + 4 × 5', '0.033075'],
  ['ant-stream-gzip', '3 × 3 + 1143 × 3.75 + 101 × 15', '0.00581025'],
  // Compaction reads 55,096 tokens from the cache in an iteration that the top level does not show.
  ['ant-stream-compaction-cache', '100 × 3 + 55096 × 0.3 + 83 × 15 + 181 × 3 + 8 × 15', '0.0187368'],
  ['vx-ant-stream-compaction', '60385 × 5 + 522 × 25 + 612 × 5 + 2819 × 25', '0.38851'],
  // The advisor is another model.
  ['ant-advisor-iterations', '1128 × 2 + 110 × 10 + 2518 × 5 + 22 × 25 + 1262 × 2 + 11 × 10', '0.01913'],
  ['ant-advisor-stream', '1128 × 2 + 135 × 10 + 2543 × 5 + 18 × 25 + 1283 × 2 + 10 × 10', '0.019437'],
  // Searches are 10 dollars a thousand: 10,000 a million.
  ['ant-web-search', '16690 × 3 + 190 × 15 + 1 × 10000', '0.06292'],
  ['ant-stream-web-search-usage-jump', '9447 × 1 + 114 × 5 + 1 × 10000', '0.020017'],
  // A prompt of more than 200,000 tokens has another price for all of it, and for the answer.
  ['ant-pause-turn', '401468 × 6 + 792 × 22.5 + 10 × 10000', '2.526628'],
  ['ant-stream-pause-turn', '404500 × 6 + 943 × 22.5 + 10 × 10000', '2.5482175'],
  ['ant-stream-thinking', '80 × 1 + 638 × 5', '0.00327'],
  ['vx-ant-stream-message-delta-input-tokens', '61 × 5 + 2 × 25', '0.000355'],
  ['vx-ant-refusal', '18 × 10 + 5 × 50', '0.00043'],
];

/** Real usage that no published price covers. */
const unknown: readonly (readonly [id: string, reason: RegExp])[] = [
  ['oai-chat-service-tier-priority', /tier priority/],
  ['oai-chat-audio-in', /input_audio_tokens/],
  ['azure-grok-cached-gt-prompt', /contradicts itself/],
  ['azure-stream-chunk-split-mid-event', /model deepseek-r1/],
  ['openrouter-chat-stream-tools-variant-a', /model moonshotai/],
];

function bodyOf(recording: Recording): JsonObject {
  if (!recording.response.sse_text) return recording.response.body ?? {};
  const isMessages = recording.endpoint === '/v1/messages';
  const assembler = isMessages ? assembleAnthropicStream() : new OpenaiStreamAssembler();
  for (const event of new SseParser().push(new TextEncoder().encode(recording.response.sse_text))) {
    if (!assembler.ended) assembler.push(event);
  }
  return assembler.body();
}

function costOf(recording: Recording) {
  const body = bodyOf(recording);
  const rawUsage = body.usage as JsonObject;
  const bill = {
    responseModel: body.model as string,
    usage: noUsage,
    rawUsage,
    serviceTier: ((body.service_tier ?? rawUsage.service_tier) as string | undefined) ?? null,
  };
  return computePrice({
    provider: recording.provider,
    baseUrl: recording.url,
    model: bill.responseModel,
    bills: [bill],
    simulated: false,
    at: new Date(recording.source.recorded_at ?? '2026-09-01T00:00:00Z'),
  });
}

/** In whole 10⁻¹² dollars, so that nothing is rounded. `×` before `+`. */
function worksOutTo(arithmetic: string): bigint {
  const terms = arithmetic.split(' + ').map((term) => term.split(' × '));
  return terms.reduce((sum, [count, price]) => sum + BigInt(count!) * toMicros(Number(price)), 0n);
}

function toMicros(price: number): bigint {
  return BigInt(Math.round(price * 1_000_000));
}

function toDollars(picos: bigint): string {
  const text = picos.toString().padStart(13, '0');
  return `${text.slice(0, -12)}.${text.slice(-12)}`.replace(/\.?0+$/, '');
}

/** The second calculation: reads the usage itself and knows nothing but `published`. */
function plainCost(body: JsonObject, at: Date): string {
  // biome-ignore lint/suspicious/noExplicitAny: what a provider sent
  const usage = body.usage as any;
  const factor = body.service_tier === 'flex' ? 2n : 1n;
  const parts = usage.iterations?.length ? usage.iterations : [usage];
  let picos = BigInt(usage.server_tool_use?.web_search_requests ?? 0) * 10_000_000_000n;
  for (const part of parts) {
    const chat = 'prompt_tokens' in part;
    const read: number =
      (chat ? part.prompt_tokens_details?.cached_tokens : part.cache_read_input_tokens) ?? 0;
    const written: number =
      (chat ? part.prompt_tokens_details?.cache_write_tokens : part.cache_creation_input_tokens) ?? 0;
    const hour: number = part.cache_creation?.ephemeral_1h_input_tokens ?? 0;
    const audio: number = part.prompt_tokens_details?.audio_tokens ?? 0;
    const plain = chat ? part.prompt_tokens - read - written - audio : part.input_tokens;
    const prices = pricesOf(part.model ?? body.model, plain + read + written, at);
    const counts = [plain, read, written - hour, hour, part.completion_tokens ?? part.output_tokens];
    for (const [index, count] of counts.entries()) {
      if (count > 0) picos += (BigInt(count) * toMicros(prices[index]!)) / factor;
    }
    picos += BigInt(audio) * 10_000_000n;
  }
  return toDollars(picos);
}

function pricesOf(model: string, promptTokens: number, at: Date): readonly (number | null)[] {
  const name = model.replace(/-(\d{8}|\d{4}-\d{2}-\d{2})$/, '');
  if (name === 'claude-sonnet-4-5' && promptTokens > 200_000) return published[`${name} beyond 200k`]!;
  if (name === 'gpt-5.6-sol' && at < new Date('2026-08-21')) return published[`${name} before 2026-08-21`]!;
  return published[name]!;
}

if (!recordingsArePresent) test.skip(recordingsAbsent, () => {});

describe.runIf(recordingsArePresent)('recorded usage', () => {
  const recordings = new Map(
    [...loadRecordings('whole'), ...loadRecordings('streamed')].map((one) => [one.id, one]),
  );

  test.each(byHand)('%s: %s', (id, arithmetic, dollars) => {
    const recording = recordings.get(id)!;
    expect(toDollars(worksOutTo(arithmetic))).toBe(dollars);
    expect(plainCost(bodyOf(recording), new Date(recording.source.recorded_at ?? '2026-09-01'))).toBe(
      dollars,
    );
    expect(costOf(recording)).toMatchObject({ cost: dollars, currency: 'USD' });
  });

  test.each(unknown)('%s has no known price', (id, reason) => {
    const { cost, unknownReason } = costOf(recordings.get(id)!);
    expect({ cost, unknownReason }).toEqual({ cost: null, unknownReason: expect.stringMatching(reason) });
  });
});
