/**
 * The process behind `startLedgerProvider`: a provider that writes every request to its ledger (argv[2]) and waits for
 * the disk before it answers, or misbehaves. Steered by messages from its parent, and gone when the parent is.
 */
import { fdatasyncSync, openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { answerAnthropic, answerOpenai } from '../../src/providers/simulated-answer.ts';
import type { Behaviour } from './ledger-provider.ts';

const ledger = openSync(process.argv[2] ?? '', 'a', 0o600);
let behaviour: Behaviour = {};
let number = 0;
const held: (() => void)[] = [];

function tell(message: object): void {
  if (process.connected) process.send?.(message);
}

/** Resolves at the next `release`. */
function hold(): Promise<void> {
  return new Promise((resolve) => {
    held.push(resolve);
    tell({ held: held.length });
  });
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  number += 1;
  const token = /call-[a-z0-9-]+/.exec(JSON.stringify(body.messages))?.[0] ?? '';
  writeSync(ledger, `${JSON.stringify({ number, token, path: request.url, at: Date.now() })}\n`);
  fdatasyncSync(ledger);
  tell({ count: number });
  const { delayMs, holdFrom = 0, status, retryAfter } = behaviour;
  const holdAt = number < holdFrom ? undefined : behaviour.holdAt;
  if (delayMs) await delay(delayMs);
  if (holdAt === 'request') await hold();
  response.setHeader('content-type', 'application/json');
  const wish = Object.entries(retryAfter ?? {}).find(([part]) => token.includes(part))?.[1];
  if (wish !== undefined) response.setHeader('retry-after', wish);
  if (status !== undefined) {
    response.writeHead(status).end(JSON.stringify({ error: { message: 'As told.', type: 'requests' } }));
    return;
  }
  const answer = request.url === '/v1/messages' ? answerAnthropic(body, number) : answerOpenai(body, number);
  const text = JSON.stringify(answer.body);
  response.writeHead(200, { 'content-length': Buffer.byteLength(text) });
  if (holdAt === 'answer') {
    response.write(text.slice(0, 20));
    await hold();
    response.end(text.slice(20));
    return;
  }
  response.end(text);
}

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }));

process.on('message', (message: { behave?: Behaviour; release?: true }) => {
  if (message.behave) behaviour = message.behave;
  if (message.release) for (const resume of held.splice(0)) resume();
  tell({ held: held.length, obeyed: true });
});
process.on('disconnect', () => process.exit(0));
