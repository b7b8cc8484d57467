/** Each dialect through its real client: what a stream adds up to is the whole answer, and neither loses a part. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import type { StreamDelta } from '../../src/application/provider.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import type { Execution } from '../../src/domain/execution.ts';
import { createChatDialect } from '../../src/http/chat-dialect.ts';
import type { AnswerEvents, Dialect } from '../../src/http/dialect.ts';
import type { ServerSentEvent } from '../../src/http/event-stream.ts';
import { messagesDialect } from '../../src/http/messages-dialect.ts';
import { createResponsesDialect } from '../../src/http/responses-dialect.ts';
import { readTurns } from '../../src/http/turns.ts';
import { execution } from '../support/records.ts';

const text = (said: string): StreamDelta => ({ type: 'text', text: said });
const call = (index: number, id: string, said: string): StreamDelta => ({
  type: 'tool_call',
  index,
  id,
  name: 'look_up',
  arguments: said,
});
const look = (id: string, said: string) => ({ id, name: 'look_up', arguments: said });
const none = { toolCalls: [], reasoning: [], completionTokens: 7 };
const tools = [
  { name: 'look_up', description: 'Looks up.', inputSchema: { type: 'object', properties: {} } },
];
const responsesDialect = createResponsesDialect(() => tools);

const answers: [string, Partial<Execution>, StreamDelta[]][] = [
  [
    'a text',
    { ...none, rawOutput: 'Hello ünicode 🙂\n\ndata: x' },
    [text('Hello ünicode 🙂\n'), text('\ndata: x')],
  ],
  ['nothing', { ...none, rawOutput: '' }, []],
  [
    'a refusal',
    { ...none, rawOutput: 'I will not.', finishReason: 'refusal' },
    [
      { type: 'refusal', text: 'I will ' },
      { type: 'refusal', text: 'not.' },
    ],
  ],
  [
    'a text that was cut off',
    { ...none, rawOutput: 'Once upon', finishReason: 'length' },
    [text('Once upon')],
  ],
  [
    'a text that was filtered',
    { ...none, rawOutput: 'Once', finishReason: 'content_filter' },
    [text('Once')],
  ],
  [
    'a text, then two calls, one of them without arguments',
    {
      ...none,
      rawOutput: 'Let me see.',
      finishReason: 'tool_calls',
      toolCalls: [look('a', '{"z":1,"a":"ü"}'), look('b', '{}')],
    },
    [
      text('Let me see.'),
      call(0, 'a', ''),
      call(0, 'a', '{"z":1,'),
      call(0, 'a', '"a":"ü"}'),
      call(1, 'b', '{}'),
    ],
  ],
  [
    'a call alone',
    { ...none, rawOutput: '', finishReason: 'tool_calls', toolCalls: [look('a', '{"z":1}')] },
    [call(0, 'a', '{"z":1}')],
  ],
  [
    'reasoning before a text',
    { ...none, rawOutput: 'Yes.', reasoning: [{ text: 'Hm. So.' }] },
    [{ type: 'reasoning', text: 'Hm. ' }, { type: 'reasoning', text: 'So.' }, text('Yes.')],
  ],
  [
    'proven and hidden reasoning before a call',
    {
      ...none,
      rawOutput: '',
      finishReason: 'tool_calls',
      reasoning: [
        { text: 'Hm.', signature: 'proof' },
        { text: '', encrypted: 'only for me' },
        { text: '', signature: 'of nothing shown' },
        { text: 'As a summary.', encrypted: 'the rest', id: 'rs_1' },
        { text: '', encrypted: 'all', id: 'rs_2' },
      ],
      toolCalls: [look('a', '{"z":1}')],
    },
    [
      { type: 'reasoning', text: 'Hm.' },
      { type: 'reasoning_end', signature: 'proof' },
      { type: 'reasoning_end', encrypted: 'only for me' },
      { type: 'reasoning_end', signature: 'of nothing shown' },
      { type: 'reasoning', text: 'As a ' },
      { type: 'reasoning', text: 'summary.' },
      { type: 'reasoning_end', encrypted: 'the rest', id: 'rs_1' },
      { type: 'reasoning_end', encrypted: 'all', id: 'rs_2' },
      call(0, 'a', '{"z":1}'),
    ],
  ],
];

/** A provider of one answer, whole or as these events. */
function serve(whole: object, events: readonly ServerSentEvent[]): typeof fetch {
  return async (_url, request) => {
    const streamed = JSON.parse(String(request?.body)).stream === true;
    const body = events.map(({ event, data }) => {
      const name = event === undefined ? '' : `event: ${event}\n`;
      return `${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
    });
    const type = streamed ? 'text/event-stream' : 'application/json';
    return new Response(streamed ? body.join('') : JSON.stringify(whole), {
      headers: { 'content-type': type },
    });
  };
}

function play(dialect: Dialect, row: Execution, deltas: readonly StreamDelta[]): typeof fetch {
  const events = dialect.createEvents();
  const spoken = [
    ...events.begin(row),
    ...deltas.flatMap((delta) => events.piece(delta)),
    ...events.finish(row),
  ];
  return serve(dialect.toAnswer(row), spoken);
}

const openai = (fetch: typeof globalThis.fetch) =>
  new OpenAI({ apiKey: 'k', baseURL: 'http://gateway/v1', fetch });
const anthropic = (fetch: typeof globalThis.fetch) =>
  new Anthropic({ apiKey: 'k', baseURL: 'http://gateway', fetch });
const plain = (value: object) => JSON.parse(JSON.stringify(value));

describe.each(answers)('%s is the same whole and streamed', (_, changes, deltas) => {
  const row = execution(changes);

  it("to OpenAI's client, as a response", async () => {
    const client = openai(play(responsesDialect, row, deltas));
    const whole = plain(await client.responses.create({ input: 'x', model: 'm' }));
    const { output_parsed: _parsed, ...streamed } = plain(
      await client.responses.stream({ input: 'x', model: 'm' }).finalResponse(),
    );
    // The client's helper notes what it has parsed of each part and call.
    const bare = JSON.parse(
      JSON.stringify(streamed, (key, value) => (/^parsed/.test(key) ? undefined : value)),
    );
    expect(bare).toEqual(whole);
    const calls = whole.output.filter(({ type }: { type: string }) => type === 'function_call');
    expect(
      calls.map((said: { call_id: string; arguments: string }) => [said.call_id, said.arguments]),
    ).toEqual(row.toolCalls.map((said) => [said.id, said.arguments]));
  });

  it("to OpenAI's client, as a chat completion", async () => {
    const client = openai(play(createChatDialect({ includeUsage: true }), row, deltas));
    const params = { messages: [], model: 'm' };
    const whole = await client.chat.completions.create(params);
    const chunks = await Array.fromAsync(await client.chat.completions.create({ ...params, stream: true }));
    const [choice] = whole.choices;
    const said = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
    expect(said.map(({ content }) => content ?? '').join('')).toBe(choice?.message.content ?? '');
    expect(said.map(({ refusal }) => refusal ?? '').join('')).toBe(choice?.message.refusal ?? '');
    const thought = (one: object | undefined) =>
      (one as { reasoning_content?: string })?.reasoning_content ?? '';
    expect(said.map(thought).join('')).toBe(thought(choice?.message));
    expect(thought(choice?.message)).toBe(row.reasoning.flatMap((block) => block.text || []).join('\n\n'));
    const calls: { id: string; name: string; arguments: string }[] = [];
    for (const { index, id, function: said_ } of said.flatMap(({ tool_calls }) => tool_calls ?? [])) {
      if (id) calls[index] = { id, name: said_?.name ?? '', arguments: '' };
      calls[index]!.arguments += said_?.arguments ?? '';
    }
    expect(calls).toEqual(row.toolCalls);
    expect(chunks.findLast(({ choices }) => choices.length > 0)?.choices[0]?.finish_reason).toBe(
      choice?.finish_reason,
    );
    expect(chunks.at(-1)?.usage).toEqual(whole.usage);
  });

  it("to Anthropic's client, as a message", async () => {
    const client = anthropic(play(messagesDialect, row, deltas));
    const params = { messages: [], model: 'm', max_tokens: 1 };
    const { model: _whole, ...whole } = plain(await client.messages.create(params));
    // A stream names the model that was asked, for it begins before any has answered.
    const {
      model: _streamed,
      parsed_output: _parsed,
      ...streamed
    } = plain(await client.messages.stream(params).finalMessage());
    const bare = JSON.parse(
      JSON.stringify(streamed, (key, value) => (key === 'parsed_output' ? undefined : value)),
    );
    expect(bare).toEqual(whole);
  });
});

describe('what a client sends back of an answer', () => {
  const [, changes] = answers.at(-1)!;
  const row = execution(changes);
  const turn = { role: 'assistant', content: '', toolCalls: row.toolCalls, reasoning: row.reasoning };

  it('is the turn that it was, as items of the Responses API', async () => {
    const { output } = responsesDialect.toAnswer(row) as { output: object[] };
    expect(readTurns(output, 'input')).toEqual([turn]);
  });

  it('is the turn that it was, as a message of Anthropic', () => {
    const { role, content } = messagesDialect.toAnswer(row) as { role: string; content: object[] };
    expect(readTurns([{ role, content }], 'messages')).toEqual([turn]);
  });

  it('is the turn without its proofs, as a message of the Chat API', () => {
    const { choices } = createChatDialect({ includeUsage: true }).toAnswer(row) as {
      choices: { message: object }[];
    };
    const reasoning = [{ text: 'Hm.\n\nAs a summary.' }];
    expect(readTurns([choices[0]?.message], 'messages')).toEqual([{ ...turn, reasoning }]);
  });
});

describe('a refusal in the middle of a text', () => {
  const row = execution({ ...none, rawOutput: 'Once upon', finishReason: 'refusal' });
  const deltas = [text('Once upon')];

  it.each([
    ['chat', createChatDialect({ includeUsage: false }), '"refusal":"Once upon"'],
    ['responses', responsesDialect, '{"type":"refusal","refusal":""}'],
  ])('is told as one in a stream, too (%s)', (_name, dialect, told) => {
    const events = dialect.createEvents();
    events.begin(row);
    for (const delta of deltas) events.piece(delta);
    expect(JSON.stringify(events.finish(row))).toContain(told);
  });
});

describe('a failure after the first piece', () => {
  const failure = new PromptgateError('provider_timeout', 'Too slow.');
  const row = execution();
  const fail = (events: AnswerEvents) =>
    serve({}, [...events.begin(row), ...events.piece(text('Once')), ...events.fail(failure, 'req_1')]);

  it('is response.failed with what came, as a response', async () => {
    const client = openai(fail(responsesDialect.createEvents()));
    const final = await client.responses.stream({ input: 'x', model: 'm' }).finalResponse();
    expect(final).toMatchObject({
      status: 'failed',
      error: { code: 'provider_timeout', message: 'Too slow.' },
      output: [{ status: 'incomplete', content: [{ text: 'Once' }] }],
    });
  });

  it('is thrown with its code, as a chat completion', async () => {
    const client = openai(fail(createChatDialect({ includeUsage: false }).createEvents()));
    const stream = await client.chat.completions.create({ messages: [], model: 'm', stream: true });
    await expect(Array.fromAsync(stream)).rejects.toMatchObject({ code: 'provider_timeout' });
  });

  it('is thrown with its type and code, as a message', async () => {
    const client = anthropic(fail(messagesDialect.createEvents()));
    const final = client.messages.stream({ messages: [], model: 'm', max_tokens: 1 }).finalMessage();
    await expect(final).rejects.toMatchObject({
      error: { error: { type: 'timeout_error', code: 'provider_timeout' }, request_id: 'req_1' },
    });
  });
});
