/** Servers that send more than anyone can hold, or send us elsewhere: on each wire, whole and streamed, over a socket. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wires } from '../../src/application/provider.ts';
import { responseBytesMax } from '../../src/providers/http-client.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';
import { wireSpeech } from '../support/wire-speech.ts';

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;
let server: Server;
let url: string;
let requests = 0;
/** Bytes that left the server, as it counts them, and the most memory that was in use meanwhile. */
let sent = 0;
let memory = 0;

const inUse = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** A gibibyte, made as it is asked for. */
function* endlessly(first: string, again: string): Generator<Buffer> {
  const piece = Buffer.from(again);
  yield Buffer.from(first);
  for (sent = 0; sent < gibibyte; sent += piece.length) {
    memory = Math.max(memory, inUse());
    yield piece;
  }
}

/** What a wire's answer begins with, and what goes on and on in it. */
function bodyOf(path: string, streamed: boolean): { type: string; first: string; again: string } {
  const wire = wires.find((name) => path.startsWith(`/${name}/`)) ?? 'openai';
  const { open, text, whole } = wireSpeech[wire];
  const said = ' '.repeat(256 * 1024);
  if (streamed) return { type: 'text/event-stream', first: open, again: text(said) };
  return { type: 'application/json', first: JSON.stringify(whole('?')).replace(/\?.*/s, ''), again: said };
}

async function answer(path: string, streamed: boolean, response: ServerResponse): Promise<void> {
  if (path.includes('/moved')) return void response.writeHead(307, { location: `${url}/elsewhere` }).end();
  const { type, first, again } = bodyOf(path, streamed);
  if (path.includes('/bomb')) {
    response.writeHead(200, { 'content-type': type, 'content-encoding': 'gzip' });
    return void response.end(gzipSync(first + again.repeat(140), { level: 1 }));
  }
  response.writeHead(200, { 'content-type': type });
  await pipeline(Readable.from(endlessly(first, again)), response);
}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    requests += 1;
    let body = '';
    for await (const chunk of request) body += chunk;
    // The client hangs up, as it should.
    await answer(request.url ?? '', JSON.parse(body).stream === true, response).catch(() =>
      response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe.each(wires)('over %s', (wire) => {
  async function ask(path: string, streamed: boolean) {
    requests = 0;
    let kept = 0;
    const providers = createProviders([settingsOf(wire, `${url}/${wire}${path}`)], noWaits);
    const call = callOf(wire, 'm');
    const control = controlOf({ deadlineMs: 30_000 });
    const result = streamed
      ? await providers.stream(call, {
          ...control,
          onDelta(delta) {
            kept += 'text' in delta ? delta.text.length : 0;
          },
        })
      : await providers.call(call, control);
    await providers.close();
    return { result, kept };
  }

  describe.each([
    ['whole', false],
    ['streamed', true],
  ] as const)('%s', (_how, streamed) => {
    it.each([
      ['/moved', 'provider_misconfigured', /redirects elsewhere/],
      ['/bomb', 'provider_protocol_error', /more than an answer may hold/],
    ])('%s ends as %s, asked for once, and what is kept is bounded', async (path, code, message) => {
      const { result, kept } = await ask(path, streamed);
      expect(result).toMatchObject({ ok: false, error: { code, message: expect.stringMatching(message) } });
      expect(requests).toBe(1);
      expect(kept).toBeLessThanOrEqual(responseBytesMax);
    });

    it('an answer of a gibibyte is cut off after 32 MiB, in bounded memory', async () => {
      memory = 0;
      const before = inUse();
      const { result, kept } = await ask('/endless', streamed);
      expect(result).toMatchObject({ ok: false, error: { code: 'provider_protocol_error' } });
      expect(requests).toBe(1);
      expect(kept).toBeLessThanOrEqual(responseBytesMax);
      // The sockets' buffers hold a few more.
      expect(sent).toBeGreaterThan(responseBytesMax - mebibyte);
      expect(sent).toBeLessThan(responseBytesMax + 16 * mebibyte);
      // Bytes, text and parsed events of what was taken, and garbage: not of what was offered.
      expect(memory - before).toBeLessThan(128 * mebibyte);
    });
  });
});
