import { describe, expect, test } from 'vitest';
import { collectAnswer } from '../../src/application/partial-answer.ts';
import type { ProviderResult, StreamDelta, Wire } from '../../src/application/provider.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { assembleAnthropicStream } from '../../src/providers/anthropic-stream.ts';
import { assembleResponsesStream } from '../../src/providers/openai-responses-stream.ts';
import { OpenaiStreamAssembler } from '../../src/providers/openai-stream.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { type SseEvent, SseParser } from '../../src/providers/sse-parser.ts';
import type { StreamAssembler } from '../../src/providers/stream.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';
import {
  finishOf,
  loadRecordings,
  type Recording,
  recordingsAbsent,
  recordingsArePresent,
  textOf,
  wireOf,
} from '../support/recordings.ts';

const recordings = loadRecordings('streamed');

/** Streams that end in an error after their 200, and what it is. */
const failures: Readonly<Record<string, readonly [ErrorCode, number]>> = {
  'px-oai-resp-stream-rate-limited': ['rate_limited', 3],
  'vx-oai-resp-stream-insufficient-quota': ['provider_misconfigured', 1],
};
const cases = recordings.filter(({ id }) => !(id in failures)).map((one) => [one.id, one] as const);

if (!recordingsArePresent) test.skip(recordingsAbsent, () => {});

const bytesOf = ({ response }: Recording) => new TextEncoder().encode(response.sse_text ?? '');

const slicings: Readonly<Record<string, (recording: Recording) => Iterable<Uint8Array>>> = {
  'one piece': (recording) => [bytesOf(recording)],
  'the HTTP reads as recorded': ({ response }) =>
    (response.sse_chunks_b64 ?? []).map((chunk) => new Uint8Array(Buffer.from(chunk, 'base64'))),
  'single bytes': (recording) => Array.from(bytesOf(recording), (byte) => Uint8Array.of(byte)),
  'pieces of 7 bytes': (recording) => pieces(bytesOf(recording), 7),
  'lines without their ends': (recording) => lines(recording),
};

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

function lines({ response }: Recording): Uint8Array[] {
  const parts = (response.sse_text ?? '').split(/(\n)/);
  return parts.map((part) => new TextEncoder().encode(part));
}

const assemblers: Readonly<Record<Wire, () => StreamAssembler>> = {
  openai: () => new OpenaiStreamAssembler(),
  'openai-responses': assembleResponsesStream,
  anthropic: assembleAnthropicStream,
};

/** Bytes to deltas and a body, as far as they depend on how the bytes are cut. */
function assemble(wire: Wire, chunks: Iterable<Uint8Array>) {
  const parser = new SseParser();
  const assembler = assemblers[wire]();
  const deltas: StreamDelta[] = [];
  let events = 0;
  /** Events after which there was no terminator yet. */
  let unended = 0;
  const take = (found: SseEvent[]) => {
    for (const event of found) {
      if (assembler.ended) return;
      deltas.push(...(assembler.push(event) ?? []));
      events += 1;
      if (!assembler.ended) unended += 1;
    }
  };
  for (const chunk of chunks) take(parser.push(chunk));
  take(parser.end());
  return { deltas, body: assembler.body(), events, unended };
}

interface Replay {
  readonly result: ProviderResult;
  readonly deltas: readonly StreamDelta[];
  readonly requests: number;
}

async function replay(recording: Recording, chunks: Iterable<Uint8Array>): Promise<Replay> {
  const wire = wireOf(recording);
  const deltas: StreamDelta[] = [];
  let requests = 0;
  const body = () => ReadableStream.from(chunks);
  const headers = Object.entries(recording.response.headers).filter(
    ([name]) => !/^(content-encoding|content-length|set-cookie)$/i.test(name),
  );
  const providers = createProviders([settingsOf(wire, 'http://127.0.0.1:9/v1')], {
    ...noWaits,
    fetch: async () => {
      requests += 1;
      return new Response(body(), { status: recording.response.status, headers });
    },
  });
  const result = await providers.stream(callOf(wire, 'recorded'), {
    ...controlOf({ deadlineMs: 60_000 }),
    onDelta: (delta) => void deltas.push(delta),
  });
  return { result, deltas, requests };
}

const joined = (deltas: readonly StreamDelta[], type: StreamDelta['type']) =>
  deltas.map((delta) => (delta.type === type && 'text' in delta ? delta.text : '')).join('');

function toolCalls(deltas: readonly StreamDelta[]) {
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const delta of deltas) {
    if (delta.type !== 'tool_call') continue;
    const before = calls[delta.index]?.arguments ?? '';
    calls[delta.index] = { id: delta.id, name: delta.name, arguments: before + delta.arguments };
  }
  return calls;
}

/** Where the official SDK and we differ, and why ours is right. */
const quirks: Readonly<
  Record<string, { text?: RegExp; finish?: string; calls?: number; name?: string; model?: string | null }>
> = {
  // No chunk has a finish reason; usage and [DONE] end it, and it calls a tool. The name comes twice, and the SDK
  // makes llm_versionllm_version of it.
  'openrouter-chat-stream-tools-variant-a': { finish: 'tool_calls', name: 'llm_version' },
  // The SDK throws at the second message_start, which says the same as the first.
  'vx-ant-stream-duplicate-message-start': { text: /^Hello, World!$/, finish: 'stop', calls: 0 },
  // Two answers in one file, as a client got them one after the other: a stream ends with its message_stop.
  'vx-ant-stream-programmatic-tools': { text: /./, finish: 'tool_calls', calls: 1 },
  // The last blank line is missing, and the SDK drops message_stop with it. The arguments are cut by the token limit.
  'sdk-ant-stream-incomplete-json': { text: /do that for you now\.$/, finish: 'length', calls: 1 },
  // Only the first event names the model.
  'px-oai-resp-stream-multi-output': { model: 'gpt-4o' },
  // The refusal delta makes it one, whatever finish_reason says.
  'sdk-oai-chat-stream-173417d5': { finish: 'refusal' },
};

describe.runIf(recordingsArePresent)('recorded streams', () => {
  test.each(cases)('%s: output, tools, usage and finish are what was sent', async (id, recording) => {
    const { result, deltas, requests } = await replay(recording, [bytesOf(recording)]);
    if (!result.ok) throw result.error;
    const { answer } = result;
    const sdk = recording.sdk.result;
    const choice = sdk?.choices?.[0];
    const quirk = quirks[id] ?? {};
    expect(requests).toBe(1);
    const text = joined(deltas, 'text');
    if (quirk.text) expect(text).toMatch(quirk.text);
    else expect(text).toBe(textOf(recording));
    expect(joined(deltas, 'refusal')).toBe(choice?.refusal ?? '');
    expect(answer.output).toBe(text || joined(deltas, 'refusal'));
    expect(answer.finishReason).toBe(quirk.finish ?? finishOf(recording));
    const collected = collectAnswer();
    for (const delta of deltas) collected.push(delta);
    expect(collected.build().reasoning).toEqual(answer.reasoning);
    const calls = toolCalls(deltas);
    expect(answer.toolCalls).toEqual(calls.map((call) => ({ ...call, arguments: call.arguments || '{}' })));
    const { name } = quirk;
    if (choice)
      expect(calls).toEqual(
        choice.tool_calls?.map((call) => (name === undefined ? call : { ...call, name })),
      );
    else if (sdk?.tool_uses) {
      expect(calls.map((call) => ({ name: call.name, input: JSON.parse(call.arguments || '{}') }))).toEqual(
        sdk.tool_uses.map(({ name, input }) => ({ name, input })),
      );
    } else if (sdk?.function_calls) expect(calls).toMatchObject(sdk.function_calls);
    else expect(calls).toHaveLength(quirk.calls ?? 0);
    if (sdk) {
      expect(answer.responseModel).toBe(sdk.model ?? quirk.model);
      if (sdk.usage) expect(answer.rawUsage).toMatchObject(sdk.usage);
      else expect(answer.rawUsage).toBeNull();
    }
    const counted = recording.sdk.cost?.usage;
    if (counted?.input_tokens !== undefined) {
      expect(answer.usage.promptTokens).toBe(counted.input_tokens);
      expect(answer.usage.completionTokens).toBe(counted.output_tokens);
      expect(answer.usage.cachedTokens ?? 0).toBe(counted.cache_read_tokens ?? 0);
      expect(answer.usage.cacheWriteTokens ?? 0).toBe(counted.cache_write_tokens ?? 0);
      expect(answer.usage.reasoningTokens ?? 0).toBe(counted.output_reasoning_tokens ?? 0);
    }
  });

  test.each(cases)('%s: the same answer however the bytes are cut', async (_id, recording) => {
    const whole = await replay(recording, [bytesOf(recording)]);
    const wire = wireOf(recording);
    const { body } = assemble(wire, [bytesOf(recording)]);
    for (const [name, slice] of Object.entries(slicings)) {
      const chunks = [...slice(recording)];
      if (chunks.length === 0) continue;
      const sliced = assemble(wire, chunks);
      // As text: comparing thousands of small objects takes longer than making them.
      expect(JSON.stringify(sliced.deltas), name).toBe(JSON.stringify(whole.deltas));
      expect(JSON.stringify(sliced.body), name).toBe(JSON.stringify(body));
    }
    const small = await replay(recording, pieces(bytesOf(recording), 1_000));
    expect(small.result).toMatchObject({ ok: true, answer: whole.result.ok && whole.result.answer });
  });

  test.each(cases)('%s: no event but the last one ends it', (_id, recording) => {
    const { events, unended } = assemble(wireOf(recording), [bytesOf(recording)]);
    expect(unended).toBe(events - 1);
  });

  test.each(cases)(
    '%s: cut off after an event, it is no success and not repeated',
    async (_id, recording) => {
      const text = recording.response.sse_text ?? '';
      const terminator = text.search(
        /^data: (\[DONE\]|.*"type": ?"(message_stop|response\.(completed|incomplete))")/m,
      );
      expect(terminator).toBeGreaterThan(0);
      const ends = [...text.matchAll(/\n\n/g)]
        .map(({ index }) => index + 2)
        .filter((end) => end <= terminator);
      // Each end is proven above; the first ones, the last one and some between show what comes of it.
      const shown = ends.filter((_, index) => index < 3 || index % Math.ceil(ends.length / 5) === 0);
      for (const end of new Set([0, ...shown, ends.at(-1) ?? 0])) {
        const { result, requests } = await replay(recording, [new TextEncoder().encode(text.slice(0, end))]);
        expect(result, text.slice(0, end).slice(-200)).toMatchObject({
          ok: false,
          error: { code: 'provider_protocol_error' },
        });
        expect(requests).toBe(1);
      }
    },
  );

  test.each(Object.entries(failures))(
    '%s is %o, and says no more than that',
    async (id, [code, requests]) => {
      const recording = recordings.find((one) => one.id === id);
      if (!recording) throw new Error(`no recording ${id}`);
      for (const slice of Object.values(slicings)) {
        const replayed = await replay(recording, [...slice(recording)]);
        if ([...slice(recording)].length === 0) continue;
        expect(replayed.result).toMatchObject({ ok: false, error: { code } });
        expect(replayed).toMatchObject({ requests, deltas: [] });
        expect(replayed.result.ok || replayed.result.error.message).not.toMatch(/proj_|org-/);
      }
    },
  );
});
