/** What a request of another API may say, and that nothing of it is dropped in silence: governed calls and raw ones. */
import { describe, expect, it } from 'vitest';
import type { ProviderCall } from '../../src/application/provider.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import { toChatCall, toRawChatCall } from '../../src/http/chat-request.ts';
import { toMessagesCall, toRawMessagesCall } from '../../src/http/messages-request.ts';
import {
  findResponsesReference,
  toRawResponsesCall,
  toResponsesCall,
} from '../../src/http/responses-request.ts';
import { toAnthropicRequest } from '../../src/providers/anthropic.ts';
import { toOpenaiRequest } from '../../src/providers/openai.ts';
import { toResponsesRequest } from '../../src/providers/openai-responses.ts';
import { callOf } from '../support/provider-calls.ts';

const target = { promptName: 'greet' };
const apis: [string, (body: object) => unknown, (body: object) => unknown][] = [
  ['Chat Completions', (body) => toChatCall(body as never, target), (body) => toRawChatCall(body as never)],
  [
    'Responses',
    (body) => toResponsesCall(body as never, target),
    (body) => toRawResponsesCall(body as never),
  ],
  ['Messages', (body) => toMessagesCall(body as never, target), (body) => toRawMessagesCall(body as never)],
];

function refusedPath(read: () => unknown): string | undefined {
  try {
    read();
  } catch (error) {
    if (error instanceof PromptgateError && error.code === 'invalid_request') return error.issues[0]?.path;
    throw error;
  }
  return undefined;
}

describe.each(apis)('a request to %s', (api, governed, raw) => {
  it('asks for one answer', () => {
    for (const read of [governed, raw]) expect(refusedPath(() => read({ n: 2 }))).toBe('n');
  });

  it('says which tool is called only where it brings its own prompt', () => {
    const choices = api === 'Messages' ? [{ type: 'any' }, { type: 'none' }] : ['required', 'none'];
    for (const tool_choice of choices)
      expect(refusedPath(() => governed({ tool_choice }))).toBe('tool_choice');
    const auto = api === 'Messages' ? { type: 'auto' } : 'auto';
    expect(refusedPath(() => governed({ tool_choice: auto }))).toBeUndefined();
  });

  it('chooses among tools that it brings', () => {
    const tool_choice = { type: 'function', name: 'look_up' };
    const tools = [{ type: 'function', name: 'look_up', parameters: { type: 'object' } }];
    expect(refusedPath(() => raw({ tool_choice }))).toBe('tool_choice');
    expect(refusedPath(() => raw({ tools, tool_choice: { ...tool_choice, name: 'other' } }))).toBe(
      'tool_choice',
    );
    expect(refusedPath(() => raw({ tools, tool_choice: 'sometimes' }))).toBe('tool_choice');
    expect(raw({ tools, tool_choice })).toMatchObject({ overrides: { toolChoice: { name: 'look_up' } } });
    // Says what is so anyway; the providers refuse it without tools.
    for (const word of ['auto', 'none']) expect(raw({ tool_choice: word })).not.toHaveProperty('overrides');
  });

  it('does not turn a tool of free text into a function', () => {
    const tools = [{ type: 'custom', name: 'shell', description: 'Runs a line.' }];
    for (const read of [governed, raw]) expect(refusedPath(() => read({ tools }))).toBe('tools[0]');
  });
});

it.each(apis.slice(0, 2))('calls one after the other are a wish at %s, not silence', (_, governed, raw) => {
  for (const read of [governed, raw]) {
    expect(refusedPath(() => read({ parallel_tool_calls: false }))).toBe('parallel_tool_calls');
    expect(refusedPath(() => read({ parallel_tool_calls: true }))).toBeUndefined();
  }
});

it('calls one after the other are a wish at Messages, too', () => {
  const tools = [{ name: 'look_up', input_schema: { type: 'object' } }];
  const tool_choice = { type: 'auto', disable_parallel_tool_use: true };
  expect(refusedPath(() => toRawMessagesCall({ tools, tool_choice } as never))).toBe(
    'tool_choice.disable_parallel_tool_use',
  );
});

describe('variables and the name of a prompt', () => {
  const [one, two] = [{ name: 'Ada' }, { name: 'Ben' }];
  it('come from one place: what stands in two is refused', () => {
    expect(refusedPath(() => toChatCall({ prompt_variables: one, variables: two }, target))).toBe(
      'variables',
    );
    const prompt = { id: 'greet', variables: one };
    expect(refusedPath(() => toResponsesCall({ prompt, variables: two }, target))).toBe('variables');
    expect(refusedPath(() => findResponsesReference({ prompt, prompt_id: 'other' }))).toBe('prompt_id');
    expect(refusedPath(() => findResponsesReference({ prompt, prompt_version: 3 }))).toBe('prompt_version');
  });

  it('come from the place that says something', () => {
    const asked = { prompt_variables: {}, variables: two };
    expect(toChatCall(asked, target).variables).toEqual(two);
    expect(toResponsesCall(asked, target).variables).toEqual(two);
  });
});

describe('the choice of a tool reaches the provider', () => {
  const tools = [{ name: 'look_up', description: null, inputSchema: { type: 'object' } }];
  const named = { name: 'look_up' };
  it.each<[string, (call: ProviderCall) => object, object[]]>([
    [
      'Chat Completions',
      toOpenaiRequest,
      ['none', 'required', { type: 'function', function: named }] as never,
    ],
    ['Responses', toResponsesRequest, ['none', 'required', { type: 'function', ...named }] as never],
    ['Messages', toAnthropicRequest, [{ type: 'none' }, { type: 'any' }, { type: 'tool', ...named }]],
  ])('over %s', (_, toRequest, sent) => {
    for (const [index, toolChoice] of (['none', 'required', named] as const).entries()) {
      const request = toRequest(callOf('openai', 'm', { tools, toolChoice }));
      expect(request).toMatchObject({ tool_choice: sent[index] });
    }
    expect(toRequest(callOf('openai', 'm', { tools }))).not.toHaveProperty('tool_choice');
  });
});
