import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHttpClient, readBody, responseBytesMax } from '../../src/providers/http-client.ts';
import { redact } from '../../src/providers/redact.ts';

const timeouts = { connectTimeoutMs: 1_000, firstByteTimeoutMs: 1_000 };
const mebibyte = Buffer.alloc(1024 * 1024, ' ');
/** More than waits for a slow reader, and each part of it its own. */
const long = Array.from({ length: 500_000 }, (_, index) => `${index} `).join('');
let server: Server;
let url: string;
let connections = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url?.includes('bomb')) {
      const unpacked = Buffer.concat([Buffer.from('Out of order. '), ...Array(64).fill(mebibyte)]);
      response.writeHead(500, { 'content-encoding': 'gzip' });
      response.end(gzipSync(unpacked));
      return;
    }
    response.end(request.url?.includes('long') ? long : '{}');
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

test('the cap counts decoded bytes: a small body that unpacks into a large one is stopped', async () => {
  let left = responseBytesMax / mebibyte.length + 1;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left-- > 0) controller.enqueue(mebibyte);
      else controller.close();
    },
  });
  await expect(readBody(new Response(body), new AbortController().signal)).rejects.toMatchObject({
    kind: 'too_large',
  });
});

test('of a failure only the beginning is read, however much it unpacks into', async () => {
  const client = createHttpClient(timeouts);
  const response = await client.fetch(`${url}/bomb`);
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(text).toMatch(/^Out of order\./);
  expect(text.length).toBeLessThan(mebibyte.length);
  await client.close();
});

test('connections are kept and used again', async () => {
  const client = createHttpClient(timeouts);
  connections = 0;
  for (let i = 0; i < 20; i++) {
    const response = await client.fetch(`${url}/`);
    expect(await readBody(response, new AbortController().signal)).toBe('{}');
  }
  // A second one may open while the first is still being given back.
  expect(connections).toBeLessThanOrEqual(2);
  await client.close();
});

test('a reader that is slow, so that the connection is held back, reads all of it in its order', async () => {
  const client = createHttpClient(timeouts);
  const reader = (await client.fetch(`${url}/long`)).body!.getReader();
  const parts: Uint8Array[] = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    parts.push(read.value);
    // More comes than is read.
    for (let turn = 0; turn < 10; turn++) await endOfTurn();
  }
  expect(Buffer.concat(parts).toString() === long).toBe(true);
  await client.close();
});

test('text that is split between bytes of one character is read whole', async () => {
  const bytes = new TextEncoder().encode('"…€😀"');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  expect(await readBody(new Response(body), new AbortController().signal)).toBe('"…€😀"');
});

test.each([
  ['key sk-proj-AbCdEfGh1234 is bad', 'key [redacted] is bad'],
  ['Authorization: Bearer abc.def-ghi', 'Authorization: [redacted]'],
  ['provided: abcd****wxyz.', 'provided: [redacted].'],
  ['key hunter2hunter2', 'key [redacted]'],
  ['x-api-key: foo', '[redacted]'],
  ['see http://user:pass@host/x', 'see [redacted]host/x'],
  ['two\nlines\tand\u0000more', 'two lines and more'],
  ['half \ud800 a pair', 'half \ufffd a pair'],
  [`${'x'.repeat(498)}😀 and more`, `${'x'.repeat(498)}\ufffd…`],
  ['The context length is 4096 tokens.', 'The context length is 4096 tokens.'],
])('redact(%j)', (message, expected) => {
  expect(redact(message, ['hunter2hunter2', 'none'])).toBe(expected);
});
