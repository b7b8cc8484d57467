import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collectAnswer } from '../../src/application/partial-answer.ts';
import { wires } from '../../src/application/provider.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { type ClosableProviders, createProviders } from '../../src/providers/providers.ts';
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

const recordings = loadRecordings();
const byId = new Map(recordings.map((recording) => [recording.id, recording]));
let server: Server;
let providers: ClosableProviders;

/** Answers a request for the model `<id>` with the recording of that id, on the wire as it was. */
beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const recording = byId.get((JSON.parse(body) as { model: string }).model);
    if (!recording) return void response.writeHead(599).end();
    const { headers, status } = recording.response;
    for (const [name, value] of Object.entries(headers)) {
      if (!/^(connection|transfer-encoding|content-length|set-cookie)$/i.test(name))
        response.setHeader(name, value);
    }
    const text = recording.response.body_text ?? JSON.stringify(recording.response.body);
    response.writeHead(status).end(headers['content-encoding'] === 'gzip' ? gzipSync(text) : text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const settings = wires.map((wire) => settingsOf(wire, wire === 'anthropic' ? url : `${url}/v1`));
  providers = createProviders(settings, noWaits);
});
afterAll(async () => {
  await providers.close();
  await new Promise((resolve) => server.close(resolve));
});

const replay = (recording: Recording) => providers.call(callOf(wireOf(recording), recording.id), controlOf());

if (!recordingsArePresent) test.skip(recordingsAbsent, () => {});

/** Where the official SDK and we differ, and why ours is right. */
const quirks: Readonly<Record<string, { output?: string | RegExp; finishReason?: string }>> = {
  // content is null and the refusal says why: the refusal is the output.
  'oai-chat-refusal': {
    output: "I'm very sorry, but I can't assist with that request.",
    finishReason: 'refusal',
  },
  // The SDK shows no text; the explanation is the only thing a reader of the row can learn from.
  'vx-ant-refusal': { output: /violative cyber content/, finishReason: 'refusal' },
  // finish_reason is missing; finish_details says max_tokens.
  'oai-chat-finish-reason-null': { finishReason: 'length' },
  // The one item is a call of a custom tool, which the helper does not count among the functions.
  'oai-resp-custom-tool': { finishReason: 'tool_calls' },
};

/** Answers of another API than chat: a server that gives them to our requests has given no answer. */
const otherAnswers = ['oai-completions-batch-prompts', 'oai-completions-legacy'];

const isAnswer = ({ id, sdk, response }: Recording) =>
  !sdk.error && !response.body?.error && !otherAnswers.includes(id);

describe.runIf(recordingsArePresent)('recorded answers', () => {
  test.each(recordings.filter(isAnswer).map((one) => [one.id, one] as const))(
    '%s: text, finish and usage are read as they were sent',
    async (id, recording) => {
      const result = await replay(recording);
      if (!result.ok) throw result.error;
      const { answer, attempts } = result;
      expect(answer.output).toEqual(
        typeof quirks[id]?.output === 'object'
          ? expect.stringMatching(quirks[id].output)
          : (quirks[id]?.output ?? textOf(recording)),
      );
      expect(answer.finishReason).toBe(quirks[id]?.finishReason ?? finishOf(recording));
      const { function_calls: calls } = recording.sdk.result ?? {};
      if (calls?.length) expect(answer.toolCalls).toMatchObject(calls);
      expect(answer.rawUsage).toEqual(recording.response.body?.usage);
      expect(answer.responseModel).toBe(recording.response.body?.model);
      expect(answer.providerRequestId).toEqual(expect.any(String));
      expect(answer.responseId).toBe(recording.response.body?.id ?? null);
      expect(attempts).toHaveLength(1);
    },
  );

  const labelled = recordings.filter(
    (one) => isAnswer(one) && /json/.test(one.response.headers['content-type'] ?? ''),
  );
  test.each(labelled.map((one) => [one.id, one] as const))(
    '%s: given where a stream was asked for, its pieces are the answer',
    async (_id, recording) => {
      const heard = collectAnswer();
      const wire = wireOf(recording);
      const control = { ...controlOf(), onDelta: heard.push };
      const result = await providers.stream(callOf(wire, recording.id), control);
      if (!result.ok) throw result.error;
      const { output, toolCalls, reasoning } = result.answer;
      expect(heard.build()).toEqual({ output: output || null, toolCalls, reasoning });
    },
  );

  test.each(
    recordings
      .filter((one) => isAnswer(one) && one.sdk.cost?.usage?.input_tokens !== undefined)
      .map((one) => [one.id, one] as const),
  )('%s: normalised usage agrees with an independent extraction', async (_id, recording) => {
    const result = await replay(recording);
    if (!result.ok) throw result.error;
    const counted = recording.sdk.cost?.usage ?? {};
    expect(result.answer.usage.promptTokens).toBe(counted.input_tokens);
    expect(result.answer.usage.completionTokens).toBe(counted.output_tokens);
    expect(result.answer.usage.cachedTokens ?? 0).toBe(counted.cache_read_tokens ?? 0);
    expect(result.answer.usage.cacheWriteTokens ?? 0).toBe(counted.cache_write_tokens ?? 0);
    expect(result.answer.usage.reasoningTokens ?? 0).toBe(counted.output_reasoning_tokens ?? 0);
  });
});

const failures: Readonly<Record<string, readonly [ErrorCode, number]>> = {
  'ant-err-400-effort': ['provider_rejected', 1],
  'ant-err-400-shape': ['provider_rejected', 1],
  'ant-err-404-count-tokens': ['provider_misconfigured', 1],
  'ant-err-404-model': ['provider_misconfigured', 1],
  'azure-chat-content-filter-200': ['provider_rejected', 1],
  'azure-err-404-deployment': ['provider_misconfigured', 1],
  'azure-err-429': ['rate_limited', 3],
  'deepseek-err-400-octet': ['provider_rejected', 1],
  'oai-completions-batch-prompts': ['provider_protocol_error', 1],
  'oai-completions-legacy': ['provider_protocol_error', 1],
  'oai-emb-404': ['provider_misconfigured', 1],
  'oai-err-400-context-length': ['provider_rejected', 1],
  'oai-err-400-image-download': ['provider_rejected', 1],
  'oai-err-400-reasoning-item': ['provider_rejected', 1],
  'oai-err-400-system-role-o1': ['provider_rejected', 1],
  'oai-err-401-invalid-key': ['provider_misconfigured', 1],
  'oai-err-404-model-chat': ['provider_misconfigured', 1],
  'oai-err-404-not-a-chat-model': ['provider_misconfigured', 1],
  'vx-oai-err-400-temperature-reasoning': ['provider_rejected', 1],
  'vx-oai-err-429-insufficient-quota': ['provider_misconfigured', 1],
};

describe.runIf(recordingsArePresent)('recorded failures', () => {
  test('every recorded failure has an expectation', () => {
    const ids = recordings.filter((one) => !isAnswer(one)).map(({ id }) => id);
    expect(ids.sort()).toEqual(Object.keys(failures).sort());
  });

  test.each(Object.entries(failures))('%s is %o', async (id, [code, requests]) => {
    const recording = byId.get(id);
    if (!recording) throw new Error(`no recording ${id}`);
    const result = await replay(recording);
    expect(result).toMatchObject({ ok: false, error: { code } });
    expect(result.attempts).toHaveLength(requests);
    expect(result.attempts[0]?.httpStatus).toBe(recording.response.status);
    expect(result.ok || result.error.message).not.toMatch(/\*\*\*|<not-a-r/);
  });
});
