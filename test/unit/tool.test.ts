import { describe, expect, it } from 'vitest';
import { type DefinitionError, parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import type { Message } from '../../src/domain/message.ts';
import { parseArguments } from '../../src/domain/tool.ts';
import { fromAnthropicBody, toAnthropicRequest } from '../../src/providers/anthropic.ts';
import { fromOpenaiBody, toOpenaiRequest } from '../../src/providers/openai.ts';
import { callOf } from '../support/provider-calls.ts';

const source = (tools: string) =>
  `---\nname: agent\nversion: 1\nmodel: gpt-4o-mini\n${tools}---\n{{role "user"}}\nGo on.\n{{history}}\n`;
const weather =
  'tools:\n  get_weather:\n    description: Of a city.\n    input: { city: string }\n  get_time: {}\n';
const parse = (tools: string) => parseDefinition(source(tools), { path: 'agent.prompt' });

const turns: Message[] = [
  {
    role: 'assistant',
    content: '',
    toolCalls: [{ id: 'a', name: 'get_weather', arguments: '{"city":"Bern"}' }],
  },
  { role: 'tool', content: 'sunny', toolCallId: 'a' },
];

const schema = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

describe('tools of a definition', () => {
  it('are names with a description and an input, in their order', () => {
    const { tools } = parse(weather);
    expect(tools.map(({ name, description }) => [name, description])).toEqual([
      ['get_weather', 'Of a city.'],
      ['get_time', null],
    ]);
    expect(tools[0]?.inputSchema).toEqual(schema);
    expect(tools[1]?.inputSchema).toMatchObject({ type: 'object', properties: {} });
  });

  it('change the checksum, each part of them', () => {
    const variants = ['', weather, weather.replace('Of', 'In'), weather.replace('city:', 'town:')];
    expect(new Set(variants.map((tools) => parse(tools).checksum)).size).toBe(variants.length);
  });

  it.each([
    ['tools: [get_weather]', /`tools` must be a mapping/],
    ['tools: { "get weather": {} }', /letters, digits/],
    ['tools: { f: { inputs: {} } }', /`description` \(text\) and `input`/],
    ['tools: { f: { input: { a: strong } } }', /strong/],
    ['tools: { f: { input: { type: string } } }', /maps names to types/],
    ['tools: { f: { input: { type: object, properties: { a: { type: 7 } } } } }', /not valid JSON Schema/],
  ])('%s is refused with its place', (tools, message) => {
    let thrown: DefinitionError | undefined;
    try {
      parse(`${tools}\n`);
    } catch (error) {
      thrown = error as DefinitionError;
    }
    expect(thrown?.issues[0]).toMatchObject({ line: 5, message: expect.stringMatching(message) });
  });

  it('may be called in a history, and the hash of what is sent covers the calls', () => {
    const definition = parse(weather);
    const render = (history: Message[]) => renderPrompt(definition, {}, history);
    const rendered = render(turns);
    expect(rendered.messages.slice(1)).toMatchObject(turns);
    const other = turns.map((turn) => (turn.toolCallId ? { ...turn, toolCallId: 'b' } : turn));
    expect(render(other).renderedHash).not.toBe(rendered.renderedHash);
  });

  it.each([
    ['undeclared', [{ ...turns[0], toolCalls: [{ id: 'a', name: 'rm', arguments: '{}' }] }], weather],
    ['without any declared', turns, ''],
    ['a result where none is declared', [turns[1]], ''],
    ['cut off', [{ ...turns[0], toolCalls: [{ id: 'a', name: 'get_time', arguments: '{"a' }] }], weather],
  ])('that are called %s are refused', (_what, history, tools) => {
    expect(() => renderPrompt(parse(tools), {}, history as Message[])).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });

  it.each([
    ['', {}],
    ['{"a":1}', { a: 1 }],
    ['[]', undefined],
    ['null', undefined],
    ['{"a', undefined],
  ])('arguments %j are %j', (said, expected) => {
    expect(parseArguments(said)).toEqual(expected);
  });
});

describe('tools on the wires', () => {
  const { tools } = parse(weather);
  const messages: Message[] = [
    { role: 'user', content: 'Weather and time?' },
    { role: 'assistant', content: 'Let me see.', toolCalls: [...(turns[0]?.toolCalls ?? []), call('b', '')] },
    { role: 'tool', content: 'sunny', toolCallId: 'a' },
    { role: 'tool', content: '', toolCallId: 'b' },
    { role: 'user', content: 'So?' },
  ];
  function call(id: string, said: string) {
    return { id, name: 'get_time', arguments: said };
  }

  it('OpenAI: functions, calls as text, a message for each result', () => {
    const request = toOpenaiRequest(callOf('openai', 'gpt-4o-mini', { tools, messages }));
    expect(request.tools).toEqual([
      { type: 'function', function: { name: 'get_weather', description: 'Of a city.', parameters: schema } },
      expect.objectContaining({ type: 'function' }),
    ]);
    expect(request.messages).toEqual([
      { role: 'user', content: 'Weather and time?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Bern"}' } },
          { id: 'b', type: 'function', function: { name: 'get_time', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: 'sunny' },
      { role: 'tool', tool_call_id: 'b', content: '' },
      { role: 'user', content: 'So?' },
    ]);
  });

  it('Anthropic: input schemas, calls as objects, the results of a turn in one message', () => {
    const request = toAnthropicRequest(callOf('anthropic', 'claude-haiku-4-5', { tools, messages }));
    expect(request.tools).toMatchObject([
      { name: 'get_weather', description: 'Of a city.', input_schema: schema },
      { name: 'get_time' },
    ]);
    expect(request.messages).toEqual([
      { role: 'user', content: 'Weather and time?' },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'Let me see.' },
          { type: 'tool_use', id: 'a', name: 'get_weather', input: { city: 'Bern' } },
          { type: 'tool_use', id: 'b', name: 'get_time', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a', content: 'sunny' },
          { type: 'tool_result', tool_use_id: 'b', content: '' },
        ],
      },
      { role: 'user', content: 'So?' },
    ]);
  });

  it('are left out where there are none', () => {
    expect(toOpenaiRequest(callOf('openai', 'gpt-4o-mini'))).not.toHaveProperty('tools');
    expect(toAnthropicRequest(callOf('anthropic', 'claude-haiku-4-5'))).not.toHaveProperty('tools');
  });

  it('answer alike from both', () => {
    const expected = [{ id: 'a', name: 'f', arguments: '{"x":1}' }];
    const choice = {
      message: { tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{"x":1}' } }] },
      finish_reason: 'tool_calls',
    };
    expect(fromOpenaiBody({ choices: [choice] })).toMatchObject({ toolCalls: expected });
    const content = [
      { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
      { type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } },
    ];
    expect(fromAnthropicBody({ type: 'message', content, stop_reason: 'tool_use' })).toMatchObject({
      toolCalls: expected,
    });
  });
});
