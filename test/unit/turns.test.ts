import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PromptgateError } from '../../src/domain/errors.ts';
import { readTurns } from '../../src/http/turns.ts';

const refusalOf = (value: unknown) => {
  try {
    readTurns(value, 'input');
  } catch (error) {
    if (error instanceof PromptgateError && error.code === 'invalid_request') return error.issues[0]?.path;
    throw error;
  }
  return undefined;
};

describe('turns of other APIs', () => {
  const said = (content: unknown) => [{ role: 'user', content }];
  // Clients that demand a message send such a one where the prompt needs none.
  const blank = [said(''), said([]), said([{ type: 'input_text', text: '' }])];
  it.each([undefined, null, '', [], ...blank])('are none: %j', (value) => {
    expect(readTurns(value, 'input')).toBeUndefined();
  });

  it('are kept when they are blank among others', () => {
    const turns = [...said('Hello'), { role: 'assistant', content: 'Yes?' }, ...said('')];
    expect(readTurns(turns, 'input')).toEqual(turns);
  });

  it('are refused as references, with what to send instead', () => {
    expect(() => readTurns([{ type: 'item_reference', id: 'msg_1' }], 'input')).toThrow('`store: false`');
  });

  it('keep parts of text apart', () => {
    const content = [
      { type: 'input_text', text: 'One.' },
      { type: 'text', text: 'Two.' },
    ];
    expect(readTurns([{ role: 'user', content }], 'input')).toEqual([
      { role: 'user', content: 'One.\n\nTwo.' },
    ]);
  });

  it('join a call of the Responses API to the text before it, and calls to each other', () => {
    const called = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' });
    const said = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'So.' }] };
    const toolCalls = ['a', 'b'].map((id) => ({ id, name: 'f', arguments: '{}' }));
    expect(readTurns([said, called('a'), called('b')], 'input')).toEqual([
      { role: 'assistant', content: 'So.', toolCalls },
    ]);
  });

  it('take calls and results of the Chat API', () => {
    const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } }];
    const turns = [
      { role: 'assistant', content: null, tool_calls: calls },
      { role: 'tool', tool_call_id: 'a', content: 'sunny' },
    ];
    expect(readTurns(turns, 'messages')).toEqual([
      { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }] },
      { role: 'tool', toolCallId: 'a', content: 'sunny' },
    ]);
  });

  it('put the results of tools before what the user of Anthropic says with them', () => {
    const content = [
      { type: 'text', text: 'And?' },
      { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'sunny' }] },
    ];
    expect(readTurns([{ role: 'user', content }], 'messages')).toEqual([
      { role: 'tool', toolCallId: 'a', content: 'sunny' },
      { role: 'user', content: 'And?' },
    ]);
  });

  it.each([
    ['input', 7],
    ['input', Array.from({ length: 1_001 }, () => ({ role: 'user', content: 'x' }))],
    ['input[0]', ['x']],
    ['input[0]', [{ type: 'item_reference', id: 'x' }]],
    ['input[0].role', [{ role: 'developer', content: 'x' }]],
    ['input[0].role', [{ content: 'x' }]],
    ['input[0].content', [{ role: 'user' }]],
    ['input[0].content[0]', [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }]],
    ['input[0].tool_calls[0]', [{ role: 'assistant', tool_calls: [null] }]],
    ['input[0]', [{ role: 'tool', content: 'x' }]],
    ['input[0]', [{ type: 'function_call', name: 'f', arguments: {} }]],
  ])('are refused at %s', (path, value) => {
    expect(refusalOf(value)).toBe(path);
  });

  it('are refused when the input of a call is too deep to be written', () => {
    let input: unknown = {};
    for (let depth = 0; depth < 20_000; depth++) input = { input };
    const content = [{ type: 'tool_use', id: 'a', name: 'f', input }];
    expect(refusalOf([{ role: 'assistant', content }])).toBe('input[0].content');
  });

  it('are read or refused, whatever is sent', () => {
    const role = fc.constantFrom('user', 'assistant', 'tool', 'system', 'x');
    const type = fc.constantFrom('message', 'text', 'tool_use', 'tool_result', 'function_call', 'refusal');
    const part = fc.record(
      { type, text: fc.jsonValue(), input: fc.jsonValue(), id: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const content = fc.oneof(fc.jsonValue(), fc.array(fc.oneof(part, fc.jsonValue())));
    const item = fc.record({ role, type, content, tool_calls: fc.jsonValue() }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.oneof(item, fc.jsonValue()))), (value) => {
        refusalOf(value);
      }),
    );
  });
});
