/**
 * Events to a receiver of the operator's, signed as Standard Webhooks (standardwebhooks.com) say: HMAC-SHA256 over id,
 * time and body, so that a receiver verifies with any library of that name. Repeated with the same id until it is taken.
 */
import { createHmac } from 'node:crypto';
import type { WebhookEvent, WebhookPost } from '../application/webhook-post.ts';

export interface Webhook extends WebhookPost {
  /**
   * Nobody waits for it; one that is never taken is told to `onLost`. Null: there is nothing to tell. One whose id is still
   * being tried is not tried beside it.
   */
  post(event: WebhookEvent | null): void;
  /** Ends the pauses between tries; resolves when those under way have ended, ten seconds at most. */
  close(): Promise<void>;
}

export interface WebhookOptions {
  /** Without both nobody wants to be told. */
  readonly url: string | undefined;
  readonly secret: string | undefined;
  /** Pauses between the tries, in milliseconds. */
  readonly pausesMs?: readonly number[];
  /** Of those that are posted; a failure to write it down is told to `onLost` too. */
  readonly onTaken: (event: WebhookEvent) => Promise<void>;
  readonly onLost: (event: WebhookEvent, reason: string) => void;
}

/** An hour and a quarter in all: longer than a deployment of the receiver, shorter than the next day's run. */
const defaultPausesMs = [1_000, 5_000, 30_000, 300_000, 1_200_000, 3_000_000];
const timeoutMs = 10_000;

/** @returns undefined where nobody wants to be told */
export function createWebhook(options: WebhookOptions): Webhook | undefined {
  const { url, secret } = options;
  return url && secret ? openWebhook(url, secret, options) : undefined;
}

function openWebhook(
  url: string,
  secret: string,
  { pausesMs = defaultPausesMs, onTaken, onLost }: WebhookOptions,
): Webhook {
  const closing = new AbortController();
  const under = new Map<string, Promise<void>>();

  async function deliver(event: WebhookEvent): Promise<void> {
    for (const pause of [...pausesMs, null]) {
      const refusal = await send(event);
      if (refusal === null) {
        return onTaken(event).catch(() => onLost(event, 'it was taken, and that could not be recorded'));
      }
      if (pause !== null) await sleep(pause, closing.signal);
      if (pause === null || closing.signal.aborted) return onLost(event, refusal);
    }
  }

  /** @returns why it was not taken; null: it was */
  async function send({ id, ...told }: WebhookEvent): Promise<string | null> {
    const body = JSON.stringify(told);
    const time = String(Math.floor(Date.now() / 1_000));
    try {
      const response = await fetch(url, {
        method: 'POST',
        body,
        // A redirect would carry the event where nobody configured it to go.
        redirect: 'error',
        // Whoever closes waits for it: a command ends milliseconds after its news are posted.
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': time,
          'webhook-signature': `v1,${sign(secret, id, time, body)}`,
        },
      });
      await response.body?.cancel();
      return response.ok ? null : `it answered ${response.status}`;
    } catch {
      return 'it could not be reached';
    }
  }

  return {
    tryPost: send,
    post(event) {
      if (event === null || under.has(event.id)) return;
      const { id } = event;
      under.set(
        id,
        deliver(event).finally(() => under.delete(id)),
      );
    },
    async close() {
      closing.abort();
      await Promise.all(under.values());
    },
  };
}

/** Base64. A secret that begins with `whsec_` is base64 itself, as receivers' libraries have it. */
function sign(secret: string, id: string, time: string, body: string): string {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
  return createHmac('sha256', key).update(`${id}.${time}.${body}`).digest('base64');
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
