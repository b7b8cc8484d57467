/**
 * Load. At a fixed rate a request is sent when its time has come, whether or not others are answered, and its latency
 * counts from that time: a stall is felt by everyone who came during it (no coordinated omission). Without a rate it
 * keeps a number of requests in flight, to find what is most.
 */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from './processes.ts';

export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ArrivalsOrder extends Target {
  readonly seconds: number;
  /** Requests that are due in the first so many seconds are answered and not timed: connections are opened then. */
  readonly untimedSeconds?: number;
  /** Requests a second; without it, `connections` are kept busy. */
  readonly rate?: number;
  readonly connections?: number;
  /** Ends sooner when so many were sent. */
  readonly requestsMax?: number;
}

export interface ArrivalsResult {
  readonly answered: number;
  readonly failed: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** @returns whether it was answered with 200 */
function send(agent: Agent, { url, headers, body }: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
      response.on('error', () => resolve(false));
    });
    asking.on('error', () => resolve(false));
    asking.end(body);
  });
}

async function run(order: ArrivalsOrder): Promise<ArrivalsResult> {
  const target = {
    ...order,
    headers: { ...order.headers, 'content-length': String(Buffer.byteLength(order.body)) },
  };
  // New for each run: a server closes what idles between two.
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const times: number[] = [];
  let answered = 0;
  let failed = 0;
  const from = performance.now();
  const timedFrom = from + (order.untimedSeconds ?? 0) * 1_000;
  const one = async (dueAt: number) => {
    const isAnswered = await send(agent, target);
    if (isAnswered) answered += 1;
    else failed += 1;
    // One that failed was slower than any other: its caller has nothing yet.
    if (dueAt >= timedFrom) times.push(isAnswered ? performance.now() - dueAt : Number.POSITIVE_INFINITY);
  };
  const endsAt = from + order.seconds * 1_000;
  if (order.rate) await arrive(order.rate, from, endsAt, one);
  else await keepBusy(order, endsAt, one);
  const seconds = (performance.now() - from) / 1_000;
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number) => quantile(times, share);
  return { answered, failed, seconds, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) };
}

async function keepBusy(
  { connections = 64, requestsMax = Number.POSITIVE_INFINITY }: ArrivalsOrder,
  endsAt: number,
  one: (from: number) => Promise<void>,
): Promise<void> {
  let sent = 0;
  const connection = async () => {
    while (performance.now() < endsAt && sent++ < requestsMax) await one(performance.now());
  };
  await Promise.all(Array.from({ length: connections }, connection));
}

async function arrive(
  rate: number,
  from: number,
  endsAt: number,
  one: (from: number) => Promise<void>,
): Promise<void> {
  const open: Promise<void>[] = [];
  for (let dueAt = from; dueAt < endsAt; ) {
    for (const now = performance.now(); dueAt <= now && dueAt < endsAt; dueAt += 1_000 / rate)
      open.push(one(dueAt));
    await delay(1);
  }
  await Promise.all(open);
}

process.on('message', async (order: ArrivalsOrder) => process.send?.(await run(order)));
process.on('disconnect', () => process.exit(0));
