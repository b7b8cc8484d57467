/**
 * The clients that applications already have, as their users write them: each is made by the line that the README
 * prints, and tells in its own way what it was answered and how it failed.
 */
import { readFileSync } from 'node:fs';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { ChatOpenAI } from '@langchain/openai';
import { type APICallError, generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { Portkey } from 'portkey-ai';

/** A call of a prompt, with what a caller may try beside it. */
export interface ClientCall {
  readonly prompt: string;
  readonly variables: Record<string, string>;
  /** Governed by the definition. */
  readonly temperature?: number;
}

export interface ClientAnswer {
  readonly text: string;
  readonly executionId: string | null | undefined;
}

/** How a failure looks to the user of a client. */
export interface ClientFailure {
  /** Names of its classes, its own first. */
  readonly kinds: readonly string[];
  readonly message: string;
  readonly status: number | undefined;
  readonly executionId: string | null | undefined;
}

export interface Client {
  /** As the README's table names it. */
  readonly name: string;
  /** What it calls the failure of a call: by its status as OpenAI's SDK does, or all the same. */
  readonly failsBy: 'status' | 'APICallError';
  /** What it calls the failure of a stream that has begun. */
  readonly breaksAs: string;
  answer(connection: Connection, call: ClientCall): Promise<ClientAnswer>;
  stream(connection: Connection, call: ClientCall): Promise<ClientAnswer>;
  describe(thrown: unknown): ClientFailure;
}

export interface Connection {
  readonly url: string;
  readonly apiKey: string;
}

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The code that the README's table prints beside a client. */
function printedCode(name: string): string[] {
  const start = `| ${name} |`;
  const row = readme.split('\n').find((line) => line.startsWith(start)) ?? '';
  return [...row.slice(start.length).matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}

/** Runs what the README prints. @param names what its code may use */
function run<T>(code: string, names: Readonly<Record<string, unknown>>): T {
  return new Function(...Object.keys(names), `return (${code});`)(...Object.values(names)) as T;
}

const classes = { OpenAI, Anthropic, Portkey, ChatOpenAI, createOpenAI, createAnthropic };

/** The client as the README's line makes it, at this gateway. */
export function connect<T>(name: string, { url, apiKey }: Connection, more: object = {}): T {
  const [line = 'undefined'] = printedCode(name);
  const code = line.replace('http://127.0.0.1:8080', url).replace('pg_…', apiKey);
  return run<T>(code, { ...classes, ...more });
}

/** The call that the README prints, made with the client of its line. */
export function callAsPrinted(name: string, connection: Connection, variables: object): Promise<unknown> {
  const client = connect<object>(name, connection, { variables });
  const headers = toHeaders(variables);
  return run(printedCode(name)[1] ?? 'undefined', { client, variables, headers, generateText });
}

/** What the README calls `headers`. */
function toHeaders(variables: object): Record<string, string> {
  return { 'x-promptgate-variables': encodeURIComponent(JSON.stringify(variables)) };
}

const idHeader = 'x-promptgate-execution-id';
const named = ({ prompt }: ClientCall) => `prompt/${prompt}`;
const governed = ({ temperature }: ClientCall) => (temperature === undefined ? {} : { temperature });

/** Of the SDKs that follow OpenAI's: a class for each status, the body and the headers of the answer. */
function describeBySdk(thrown: unknown): ClientFailure {
  const failure = thrown as InstanceType<typeof OpenAI.APIError>;
  const headers = failure.headers as Headers | Record<string, string> | undefined;
  // Anthropic's and Portkey's put the whole body as JSON into the message.
  const body = (failure.error ?? {}) as { error?: ErrorBody } & ErrorBody;
  const { message = failure.message, execution_id } = body.error ?? body;
  const told = headers instanceof Headers ? headers.get(idHeader) : headers?.[idHeader];
  return { kinds: classesOf(failure), message, status: failure.status, executionId: told ?? execution_id };
}

interface ErrorBody {
  readonly message?: string;
  readonly execution_id?: string;
}

function classesOf(thrown: object | null): string[] {
  if (thrown === null) return [];
  const parent = Object.getPrototypeOf(thrown) as object | null;
  return parent === null ? [] : [parent.constructor.name, ...classesOf(parent)];
}

/** OpenAI's Chat Completions, whoever sends them. */
async function sumOfChunks(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<ClientAnswer> {
  const answer = { text: '', executionId: '' };
  for await (const { id, choices } of stream) {
    answer.text += choices[0]?.delta.content ?? '';
    answer.executionId = id.replace('chatcmpl-', '');
  }
  return answer;
}

const openaiResponses: Client = {
  name: '`openai` (Responses)',
  failsBy: 'status',
  breaksAs: 'FailedResponse',
  describe: describeBySdk,
  async answer(connection, { prompt, variables, ...more }) {
    const client = connect<OpenAI>(this.name, connection);
    const response = await client.responses.create({ prompt: { id: prompt, variables }, ...more });
    return { text: response.output_text, executionId: response.id.replace('resp_', '') };
  },
  async stream(connection, { prompt, variables, ...more }) {
    const client = connect<OpenAI>(this.name, connection);
    const stream = client.responses.stream({ prompt: { id: prompt, variables }, ...more });
    const response = await stream.finalResponse();
    const executionId = response.id.replace('resp_', '');
    // This API says that a stream failed in the response itself, and its client throws nothing.
    if (response.error) throw new FailedResponse(response.error.message, executionId);
    return { text: response.output_text, executionId };
  },
};

/** What an application makes of `response.failed`. */
class FailedResponse extends Error {
  readonly headers: Record<string, string>;
  constructor(message: string, executionId: string) {
    super(message);
    this.headers = { [idHeader]: executionId };
  }
}

const openaiChat: Client = {
  name: '`openai` (Chat Completions)',
  failsBy: 'status',
  breaksAs: 'APIError',
  describe: describeBySdk,
  async answer(connection, call) {
    const client = connect<OpenAI>(this.name, connection);
    const { variables } = call;
    const body = { model: named(call), messages: [], variables, ...governed(call) };
    const { id, choices } = await client.chat.completions.create(body);
    return { text: choices[0]?.message.content ?? '', executionId: id.replace('chatcmpl-', '') };
  },
  async stream(connection, call) {
    const client = connect<OpenAI>(this.name, connection);
    const { variables } = call;
    const body = { model: named(call), messages: [], variables, stream: true as const };
    return sumOfChunks(await client.chat.completions.create(body));
  },
};

const anthropic: Client = {
  name: '`@anthropic-ai/sdk`',
  failsBy: 'status',
  breaksAs: 'APIError',
  describe: describeBySdk,
  async answer(connection, call) {
    const client = connect<Anthropic>(this.name, connection);
    return toAnswer(await client.messages.create(messagesBody(call)));
  },
  async stream(connection, call) {
    const client = connect<Anthropic>(this.name, connection);
    return toAnswer(await client.messages.stream(messagesBody(call)).finalMessage());
  },
};

function messagesBody(call: ClientCall): Anthropic.MessageCreateParamsNonStreaming {
  const { variables } = call;
  const body = { model: named(call), max_tokens: 1024, messages: [], variables, ...governed(call) };
  return body;
}

function toAnswer({ id, content }: Anthropic.Message): ClientAnswer {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return { text, executionId: id.replace('msg_', '') };
}

const portkey: Client = {
  name: '`portkey-ai` (prompts)',
  failsBy: 'status',
  breaksAs: 'APIError',
  describe: describeBySdk,
  async answer(connection, { prompt, ...more }) {
    const client = connect<Portkey>(this.name, connection);
    const { id, choices } = await client.prompts.completions.create({
      promptID: prompt,
      stream: false,
      ...more,
    });
    return { text: choices[0].message.content, executionId: id?.replace('chatcmpl-', '') };
  },
  async stream(connection, { prompt, ...more }) {
    const client = connect<Portkey>(this.name, connection);
    const stream = await client.prompts.completions.create({ promptID: prompt, stream: true, ...more });
    return sumOfChunks(stream as AsyncIterable<OpenAI.ChatCompletionChunk>);
  },
};

/** The AI SDK: what it asks for the variables in is a header, as it sends no other fields. */
function aiSdk(name: string, toModel: (provider: never, prompt: string) => unknown): Client {
  const paramsOf = (connection: Connection, call: ClientCall) => ({
    model: toModel(connect<never>(name, connection), named(call)) as never,
    prompt: '',
    headers: toHeaders(call.variables),
    maxRetries: 0,
    ...governed(call),
  });
  return {
    name,
    failsBy: 'APICallError',
    breaksAs: 'StreamProviderError',
    async answer(connection, call) {
      const { text, response } = await generateText(paramsOf(connection, call));
      return { text, executionId: response.headers?.[idHeader] };
    },
    async stream(connection, call) {
      const result = streamText({ ...paramsOf(connection, call), onError() {} });
      let text = '';
      let error: object | undefined;
      let headers: Record<string, string> | undefined;
      for await (const part of result.fullStream) {
        if (part.type === 'text-delta') text += part.text;
        if (part.type === 'error') error = part.error as object;
        if (part.type === 'finish-step') headers = part.response.headers;
      }
      if (error) throw Object.assign(error, headers && { responseHeaders: headers });
      return { text, executionId: headers?.[idHeader] };
    },
    describe(thrown) {
      const { message, statusCode, responseHeaders } = thrown as APICallError;
      const kinds = classesOf(thrown as object);
      return { kinds, message, status: statusCode, executionId: responseHeaders?.[idHeader] };
    },
  };
}

const langchain: Client = {
  name: '`@langchain/openai`',
  failsBy: 'status',
  breaksAs: 'APIError',
  describe: describeBySdk,
  async answer(connection, call) {
    const answer = await langchainModel(this.name, connection, call).invoke([]);
    return { text: answer.text, executionId: answer.id?.replace('chatcmpl-', '') };
  },
  async stream(connection, call) {
    const answer = { text: '', executionId: undefined as string | undefined };
    for await (const chunk of await langchainModel(this.name, connection, call).stream([])) {
      answer.text += chunk.text;
      answer.executionId ??= chunk.id?.replace('chatcmpl-', '');
    }
    return answer;
  },
};

/** Its constructor takes what others take with each call. */
function langchainModel(name: string, connection: Connection, call: ClientCall): ChatOpenAI {
  class ForThisCall extends ChatOpenAI {
    constructor(fields: object) {
      super({ ...fields, model: named(call), ...governed(call) });
    }
  }
  return connect(name, connection, { variables: call.variables, ChatOpenAI: ForThisCall });
}

export const clients: readonly Client[] = [
  openaiResponses,
  openaiChat,
  anthropic,
  portkey,
  aiSdk('`ai` with `@ai-sdk/openai`', (openai: ReturnType<typeof createOpenAI>, id) => openai(id)),
  aiSdk('`ai` with `@ai-sdk/openai` (`.chat`)', (openai: ReturnType<typeof createOpenAI>, id) =>
    openai.chat(id),
  ),
  aiSdk('`ai` with `@ai-sdk/anthropic`', (provider: ReturnType<typeof createAnthropic>, id) => provider(id)),
  langchain,
];
