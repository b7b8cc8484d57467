import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { WebhookEvent } from '../../src/application/webhook-post.ts';
import { createWebhook } from '../../src/telemetry/webhook.ts';

const event: WebhookEvent = { id: 'one', type: 'drift.found', timestamp: new Date(0), data: {} };

async function openWith(receive: RequestListener) {
  const receiver = createServer(receive);
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const lost: string[] = [];
  const taken: string[] = [];
  const webhook = createWebhook({
    url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
    secret: 'a secret of 24 characters',
    pausesMs: [3_600_000],
    onTaken: async ({ id }) => void taken.push(id),
    onLost: ({ id }, reason) => lost.push(`${id}: ${reason}`),
  });
  return { webhook: webhook!, lost, taken, end: () => receiver.close() };
}

describe('closing the webhook', () => {
  it('waits for the try under way: what a command found is posted though it ends at once', async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    let isTaken = false;
    const { webhook, lost, taken, end } = await openWith(async (_, response) => {
      asked.resolve();
      await answer.promise;
      isTaken = true;
      response.writeHead(204).end();
    });
    webhook.post(event);
    const closed = webhook.close();
    await asked.promise;
    expect(isTaken).toBe(false);
    answer.resolve();
    await closed;
    expect([isTaken, lost, taken]).toEqual([true, [], ['one']]);
    end();
  });

  it('does not wait for the next try, and says what was not taken', async () => {
    const { webhook, lost, end } = await openWith((_, response) => response.writeHead(503).end());
    webhook.post(event);
    await webhook.close();
    expect(lost).toEqual(['one: it answered 503']);
    end();
  });

  it('tries no event beside itself', async () => {
    let requests = 0;
    const { webhook, taken, end } = await openWith((_, response) => {
      requests += 1;
      response.end();
    });
    webhook.post(event);
    webhook.post(event);
    await webhook.close();
    expect([requests, taken]).toEqual([1, ['one']]);
    end();
  });
});
