/**
 * What the official SDK makes of our answer to a recorded exchange is what it makes of the provider's own: recording →
 * adapter → execution → dialect of the same API → SDK, against recording → SDK. What differs is listed, with its reason.
 */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { ExecutionClock } from '../../src/application/execution-clock.ts';
import { toAnswered } from '../../src/application/execution-outcome.ts';
import {
  type ProviderAnswer,
  type ProviderResult,
  type StreamDelta,
  type Wire,
  wires,
} from '../../src/application/provider.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { unpackProof } from '../../src/domain/reasoning.ts';
import { parseArguments } from '../../src/domain/tool.ts';
import { createChatDialect } from '../../src/http/chat-dialect.ts';
import type { Dialect } from '../../src/http/dialect.ts';
import type { ServerSentEvent } from '../../src/http/event-stream.ts';
import { messagesDialect } from '../../src/http/messages-dialect.ts';
import { createResponsesDialect } from '../../src/http/responses-dialect.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';
import {
  loadRecordings,
  type Recording,
  recordingsAbsent,
  recordingsArePresent,
  wireOf,
} from '../support/recordings.ts';
import { intent } from '../support/records.ts';

type Fetch = typeof fetch;

const { attempt: _attempt, earlierAttempts: _earlier, ...admission } = intent({ metadata: {} });

const isStreamed = ({ response }: Recording) => Boolean(response.sse_text);

/** The provider, on the wire as it was. */
function provider({ response }: Recording): Fetch {
  const headers = Object.entries(response.headers).filter(
    ([name]) => !/^(content-(type|encoding|length)|set-cookie|transfer-encoding)$/i.test(name),
  );
  const type = response.sse_text ? 'text/event-stream' : 'application/json';
  const body = response.sse_text ?? response.body_text ?? JSON.stringify(response.body);
  return async () => new Response(body, { headers: [...headers, ['content-type', type]] });
}

async function run(recording: Recording): Promise<{ result: ProviderResult; deltas: StreamDelta[] }> {
  const wire = wireOf(recording);
  const fetch = provider(recording);
  const providers = createProviders([settingsOf(wire, 'http://127.0.0.1:9/v1')], { ...noWaits, fetch });
  const deltas: StreamDelta[] = [];
  const call = callOf(wire, 'recorded');
  const result = isStreamed(recording)
    ? await providers.stream(call, { ...controlOf(), onDelta: (delta) => void deltas.push(delta) })
    : await providers.call(call, controlOf());
  return { result, deltas };
}

function dialectOf(wire: Wire, recording: Recording): Dialect {
  if (wire === 'anthropic') return messagesDialect;
  if (wire === 'openai-responses') return createResponsesDialect(() => []);
  const asked = recording.request?.body?.stream_options as { include_usage?: boolean } | undefined;
  return createChatDialect({ includeUsage: asked?.include_usage ?? Boolean(recording.sdk.result?.usage) });
}

interface Heard {
  readonly answer: ProviderAnswer;
  /** This gateway, which has heard it, to a client of a wire's API. */
  readonly speak: (wire: Wire) => Fetch;
}

async function hear(recording: Recording): Promise<Heard> {
  const { result, deltas } = await run(recording);
  if (!result.ok) throw result.error;
  const { route } = callOf(wireOf(recording), 'recorded');
  const execution = {
    ...toAnswered(admission, route, result, undefined, new ExecutionClock()),
    replayed: false,
  };
  return {
    answer: result.answer,
    speak(wire) {
      const dialect = dialectOf(wire, recording);
      if (!isStreamed(recording)) return async () => Response.json(dialect.toAnswer(execution));
      const events = dialect.createEvents();
      const said = [
        ...events.begin(execution),
        ...deltas.flatMap((delta) => events.piece(delta)),
        ...events.finish(execution),
      ];
      const headers = { 'content-type': 'text/event-stream' };
      return async () => new Response(said.map(toText).join(''), { headers });
    },
  };
}

function toText({ event, data }: ServerSentEvent): string {
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

/** What the official SDK hands to its user: of a stream, what its helper has collected at the end. */
async function ask(wire: Wire, streamed: boolean, fetch: Fetch): Promise<JsonObject> {
  const answer = await (wire === 'anthropic'
    ? askAnthropic(streamed, fetch)
    : askOpenai(wire, streamed, fetch));
  return JSON.parse(JSON.stringify(answer)) as JsonObject;
}

function askAnthropic(streamed: boolean, fetch: Fetch): Promise<object> {
  const client = new Anthropic({ apiKey: 'k', baseURL: 'http://x', fetch, maxRetries: 0 });
  const params = { messages: [], model: 'm', max_tokens: 1 };
  return streamed ? client.messages.stream(params).finalMessage() : client.messages.create(params);
}

function askOpenai(wire: Wire, streamed: boolean, fetch: Fetch): Promise<object> {
  const client = new OpenAI({ apiKey: 'k', baseURL: 'http://x/v1', fetch, maxRetries: 0 });
  if (wire === 'openai') {
    const chat = { messages: [], model: 'm' };
    return streamed
      ? client.chat.completions.stream(chat).finalChatCompletion()
      : client.chat.completions.create(chat);
  }
  const params = { input: 'x', model: 'm' };
  return streamed ? client.responses.stream(params).finalResponse() : client.responses.create(params);
}

/** Places that are not compared, by wire. */
const leftOut: Readonly<Record<Wire, Readonly<Record<string, RegExp>>>> = {
  openai: {
    'an execution has its own id and time': /^(id|created)$/,
    'an execution has one answer': /^choices\.[1-9]/,
    'what a provider adds to the API, or finds on the web, is no answer':
      /filter_result|matched_stop|annotations|logprobs|latency_checkpoint|num_sources_used/,
    'the row counts tokens by price, not by what they stand for':
      /usage\..*(audio|text|image|prediction|audio_prompt)_tokens/,
    'what the SDK noted for itself': /\.parsed/,
  },
  'openai-responses': {
    'an execution has its own ids and times': /^(id|created_at|completed_at|output\.\d+\.id)$/,
    "the prompt and its variables are the execution's, and what it governs is not told":
      /^(prompt|instructions|tools|temperature|top_p|max_output_tokens|reasoning|text)\b/,
    'what can be asked for there, not here':
      /^(background|billing|conversation|previous_response_id|store|truncation|user|safety_identifier|moderation|tool_usage)\b/,
    'sampling that the wire does not take, and counts of tools that are not run':
      /^(frequency_penalty|presence_penalty|top_logprobs|max_tool_calls|tool_choice|parallel_tool_calls|prompt_cache_(key|retention|options)|metadata)\b/,
    'what a provider finds on the web or was asked to tell of itself is no answer': /annotations|logprobs/,
    'in which phase a text was said is not kept': /^output\.\d+\.phase$/,
    'what the SDK noted for itself': /^output_parsed$|\.parsed/,
  },
  anthropic: {
    'an execution has its own id': /^id$/,
    'why it refused stands in the text, and what else the refusal offers is not ours': /^stop_details/,
    'what the provider ran itself': /container|citations|caller|server_tool_use|iterations/,
    'the row counts cache writes as one': /^usage\.cache_creation\./,
    "where and how it was computed is not the client's concern":
      /^(diagnostics|usage\.(inference_geo|service_tier|speed))/,
  },
};

/** Places in which single recordings differ. */
const differences: Readonly<Record<string, readonly string[]>> = {
  // The reason stands where nobody looks for it; ours stands where it belongs.
  'oai-chat-finish-reason-null': ['choices.0.finish_details.type', 'choices.0.finish_reason'],
  // The form that OpenAI has replaced, told in the one that has replaced it.
  'oai-chat-legacy-function-call': [
    'choices.0.finish_reason',
    'choices.0.message.function_call.arguments',
    'choices.0.message.function_call.name',
    'choices.0.message.tool_calls.0.function.arguments',
    'choices.0.message.tool_calls.0.function.name',
    'choices.0.message.tool_calls.0.id',
    'choices.0.message.tool_calls.0.type',
  ],
  // A tool of free text, which no definition can declare, is told as a function.
  'oai-resp-custom-tool': ['arguments', 'call_id', 'name', 'status', 'type'].map(
    (name) => `output.0.${name}`,
  ),
  // Only reasoning, all tokens long: we say by what it was cut, and what its tokens sum up to.
  'px-oai-resp-incomplete': [
    'incomplete_details.reason',
    ...['content.0.text', 'content.0.type', 'role', 'status', 'type'].map((name) => `output.0.${name}`),
    'usage.total_tokens',
  ],
  // The provider encrypts anew in each event; ours is of the one that ended the thought.
  'oai-resp-stream-reasoning-summary': ['output.0.encrypted_content'],
  // There is no text; the explanation is.
  'vx-ant-refusal': ['content.0.text', 'content.0.type'],
  // The SDK's helper keeps the last piece of what it does not know, and there the last one is null.
  'azure-stream-chunk-split-mid-event': ['choices.0.message.reasoning_content'],
  'azure-stream-chunk-split-mid-event-3': ['choices.0.message.reasoning_content'],
  // A tool of the provider ran too long: nobody here can go on with it.
  'ant-pause-turn': ['stop_reason'],
  'ant-stream-pause-turn': ['stop_reason'],
  // By which of the definition's own sequences it stopped is not kept.
  'ant-stop-sequence': ['stop_reason', 'stop_sequence'],
};

/** What the SDK's helper cannot read of the provider's own, while ours it can. */
const unreadable: Readonly<Record<string, RegExp>> = {
  'azure-chat-stream': /missing role/,
  'openrouter-chat-stream-tools-variant-a': /missing finish_reason/,
  'px-oai-resp-stream-multi-output': /missing output at index undefined/,
  'sdk-ant-stream-incomplete-json': /without producing a Message/,
  'vx-ant-stream-duplicate-message-start': /Unexpected event order/,
  'vx-ant-stream-programmatic-tools': /Unexpected event order/,
  'vx-compat-stream-tool-index-1': /undefined/,
  'vx-oai-resp-stream-id-rotation': /identity changed/,
};

if (!recordingsArePresent) test.skip(recordingsAbsent, () => {});

const isFilled = (value: Json | undefined) => JSON.stringify(value ?? []).length > 2;

/** What proves a thought is packed with us: what counts is that it comes back as it was. */
function unpack(item: JsonObject): JsonObject {
  const proof = typeof item.encrypted_content === 'string' ? unpackProof(item.encrypted_content) : undefined;
  return proof ? { ...item, encrypted_content: proof.encrypted ?? null } : item;
}

/** One text where the provider interrupts it by what it ran itself, and nothing of that; no thought without content. */
function withoutForeignParts(answer: JsonObject): JsonObject {
  if (Array.isArray(answer.output)) {
    const kept = (answer.output as JsonObject[]).filter(
      ({ type, summary, encrypted_content: encrypted }) =>
        type === 'message' ||
        type === 'function_call' ||
        (type === 'reasoning' && (isFilled(summary) || isFilled(encrypted))),
    );
    return { ...answer, output: kept.map(unpack) };
  }
  if (!Array.isArray(answer.content)) return answer;
  const kept: JsonObject[] = [];
  for (const block of answer.content as JsonObject[]) {
    const before = kept.at(-1);
    if (block.type === 'text' && before?.type === 'text') {
      kept[kept.length - 1] = { ...before, text: `${before.text}${block.text}` };
    } else if (/^(text|tool_use|thinking|redacted_thinking)$/.test(String(block.type))) kept.push(block);
  }
  return { ...answer, content: kept };
}

/** Leaves by their place. What is null is not there. */
function leavesOf(value: Json | undefined, path: string, into: Map<string, Json>): Map<string, Json> {
  if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) leavesOf(inner, path ? `${path}.${name}` : name, into);
  } else if (value !== null && value !== undefined) into.set(path, value);
  return into;
}

/** Places where the two differ. */
function compare(wire: Wire, theirs: JsonObject, ours: JsonObject): string[] {
  const [a, b] = [theirs, ours].map((answer) => leavesOf(withoutForeignParts(answer), '', new Map()));
  const skipped = Object.values(leftOut[wire]);
  return [...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])].filter(
    (path) => a?.get(path) !== b?.get(path) && !skipped.some((pattern) => pattern.test(path)),
  );
}

const notAnswers = /^oai-completions-|content-filter-200$|rate-limited$|stream-insufficient-quota$/;
const answers = (['whole', 'streamed'] as const)
  .flatMap((kind) => loadRecordings(kind))
  .filter(({ id, response }) => response.status === 200 && !notAnswers.test(id))
  .map((one) => [one.id, one] as const);

/** What a client reads, whatever API it speaks: text (or the refusal), and calls with their arguments as values. */
function readAnswer(wire: Wire, answer: Any) {
  if (wire === 'anthropic') {
    const uses = answer.content.filter(({ type }: Any) => type === 'tool_use');
    return {
      text: answer.content.map(({ text }: Any) => text ?? '').join(''),
      calls: uses.map(({ id, name, input }: Any) => ({ id, name, input })),
    };
  }
  if (wire === 'openai') {
    const { content, refusal, tool_calls: calls = [] } = answer.choices[0].message;
    return {
      text: content || (refusal ?? ''),
      calls: calls.map((call: Any) => toCall(call.id, call.function)),
    };
  }
  const parts = answer.output.flatMap(({ content }: Any) => content ?? []);
  const calls = answer.output.filter(({ type }: Any) => type === 'function_call');
  return {
    text: parts.map(({ text, refusal }: Any) => text ?? refusal).join(''),
    calls: calls.map((call: Any) => toCall(call.call_id, call)),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads what the SDK hands out
type Any = any;

const toCall = (id: string, said: { name: string; arguments: string }) => ({
  id,
  name: said.name,
  input: parseArguments(said.arguments) ?? {},
});

/** Cut off in the middle of its arguments: Anthropic's SDK repairs them, the others hand them on as they are. */
const repaired = 'sdk-ant-stream-incomplete-json';

describe.runIf(recordingsArePresent)('the official SDK', () => {
  test.each(answers)(
    '%s: hears from us what it hears from the provider, over any API',
    async (id, recording) => {
      const native = wireOf(recording);
      const streamed = isStreamed(recording);
      const { answer, speak } = await hear(recording);
      const said = { text: answer.output, calls: answer.toolCalls.map((call) => toCall(call.id, call)) };
      for (const wire of wires) {
        const ours = await ask(wire, streamed, speak(wire));
        if (id !== repaired) expect(readAnswer(wire, ours), wire).toEqual(said);
        if (wire !== native) continue;
        const theirs = ask(wire, streamed, provider(recording));
        if (unreadable[id]) {
          await expect(theirs).rejects.toThrow(unreadable[id]);
          continue;
        }
        // Anthropic names the model first of all, when only the one that was asked is known here.
        const named = wire === 'anthropic' && streamed ? { model: (await theirs).model ?? '' } : {};
        const places = compare(wire, await theirs, { ...ours, ...named });
        expect(places.toSorted()).toEqual(differences[id] ?? []);
      }
    },
  );
});
