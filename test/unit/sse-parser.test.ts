import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SseEvent, SseParser } from '../../src/providers/sse-parser.ts';

const encoder = new TextEncoder();

function parse(chunks: Iterable<Uint8Array>): SseEvent[] {
  const parser = new SseParser();
  const events = [...chunks].flatMap((chunk) => parser.push(chunk));
  return [...events, ...parser.end()];
}

function* slices(bytes: Uint8Array, cuts: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
}

const message = (data: string): SseEvent => ({ event: 'message', data });

describe('server-sent events', () => {
  it.each([
    ['one event', 'data: a\n\n', [message('a')]],
    [
      'CR LF and CR line ends',
      'data: a\r\n\r\ndata: b\r\rdata: c\n\n',
      [message('a'), message('b'), message('c')],
    ],
    ['several data lines', 'data: a\ndata: b\n\n', [message('a\nb')]],
    ['one blank after the colon is no content', 'data:  a\n\ndata:b\n\n', [message(' a'), message('b')]],
    ['a named event', 'event: ping\ndata: {}\n\ndata: x\n\n', [{ event: 'ping', data: '{}' }, message('x')]],
    ['comments, ids and retry times', ': hi\nid: 1\nretry: 9\nunknown\n\ndata: a\n\n', [message('a')]],
    ['an event without data is none', 'event: ping\n\ndata: a\n\n', [message('a')]],
    ['data without a value', 'data\n\n', [message('')]],
    ['a BOM', '\uFEFFdata: a\n\n', [message('a')]],
    ['no blank line at the end', 'data: a\n', [message('a')]],
    ['no line end at the end', 'data: a', [message('a')]],
  ])('reads %s, wherever the bytes are cut', (_what, text, expected) => {
    const bytes = encoder.encode(text);
    for (let cut = 0; cut <= bytes.length; cut++) expect(parse(slices(bytes, [cut]))).toEqual(expected);
    expect(parse(slices(bytes, [...bytes.keys()]))).toEqual(expected);
  });

  it('reads the same events from any slicing of any text', () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme' }).map((text) => `data: ${text}`),
      fc.constantFrom('', 'event: e', ':', 'data', 'id: 1', 'data: …€😀'),
    );
    const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')));
    fc.assert(
      fc.property(stream, fc.array(fc.nat(300)), (lines, at) => {
        const bytes = encoder.encode(lines.flat().join(''));
        const cuts = at.filter((cut) => cut <= bytes.length).sort((a, b) => a - b);
        expect(parse(slices(bytes, cuts))).toEqual(parse([bytes]));
      }),
    );
  });

  it.each([
    ['one line without an end', 'data: ', 'x'.repeat(100)],
    ['one event of many lines', '', `data: ${'x'.repeat(50)}\n`],
    ['one comment without an end', ':', 'x'.repeat(100)],
  ])('stops at the bound: %s', (_what, start, more) => {
    const parser = new SseParser(1_000);
    parser.push(encoder.encode(start));
    const flood = () => {
      for (let sent = 0; sent < 2_000; sent += more.length) parser.push(encoder.encode(more));
    };
    expect(flood).toThrow(expect.objectContaining({ kind: 'too_large' }));
  });

  it('does not take endless comments for an endless event', () => {
    const parser = new SseParser(1_000);
    for (let i = 0; i < 1_000; i++) parser.push(encoder.encode(': keep-alive\n'));
    expect(parser.push(encoder.encode('data: a\n\n'))).toEqual([message('a')]);
  });

  it('takes linear time for a long line in single bytes', () => {
    const parser = new SseParser();
    const byte = encoder.encode('x');
    parser.push(encoder.encode('data: '));
    for (let i = 0; i < 1_000_000; i++) parser.push(byte);
    expect(parser.end()[0]?.data).toHaveLength(1_000_000);
  });
});
