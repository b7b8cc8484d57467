import { describe, expect, it } from 'vitest';
import { readVariables } from '../../src/http/variables-header.ts';

describe('variables in a header', () => {
  it('are JSON, percent-encoded or plain', () => {
    const variables = { text: 'Zoë says "100 %" ✓', list: [1, { deep: null }] };
    expect(readVariables(encodeURIComponent(JSON.stringify(variables)), {})).toEqual(variables);
    expect(readVariables('{"rate":"100 %25","n":1}', {})).toEqual({ rate: '100 %25', n: 1 });
  });

  it('leave those of the body alone when there are none', () => {
    expect(readVariables(undefined, { a: 1 })).toEqual({ a: 1 });
  });

  it('keep a name that means something to JavaScript, for the schema to refuse', () => {
    expect(Object.keys(readVariables('{"__proto__":1}', {}))).toEqual(['__proto__']);
  });

  it.each(['', 'name=Ada', '[1]', '"text"', 'null', '{"a":', '%E0%A4%A', '%7B', '{"a":"Zo\u00eb"}'])(
    'are refused as %j',
    (header) => {
      expect(() => readVariables(header, {})).toThrow('send a JSON object, encoded as with');
    },
  );

  it('are refused beside others in the body', () => {
    expect(() => readVariables('{"a":1}', { b: 2 })).toThrow('send them in one place');
  });
});
