/**
 * Opens streams at the gateway evenly over some seconds, reads them all at once and checks what they say. Beside some of
 * them it asks the provider itself at the same moment: what it takes longer through the gateway is the gateway's.
 */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { SseParser } from '../src/providers/sse-parser.ts';
import { answerOf } from './stream-content.ts';

export interface StreamTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** How its events are to be read: the gateway's own, or OpenAI's. */
  readonly wire: 'native' | 'chat';
}

export interface StreamOrder {
  /** What to ask; `%s` stands for the seed in the body. */
  readonly target: StreamTarget;
  readonly providerUrl: string;
  readonly streams: number;
  readonly tokens: number;
  readonly openingMs: number;
  /** After so many, what is still open is given up. */
  readonly secondsMax?: number;
  /** Begins the seed of each stream. */
  readonly seed: string;
  /** Every so many streams one is asked of the provider, too; 0: none. */
  readonly probeEvery: number;
}

export interface StreamReport {
  readonly whole: number;
  /** What was wrong with the others, each kind once. */
  readonly faults: readonly string[];
  /** Milliseconds to the first token, ascending. */
  readonly firstMs: readonly number[];
  readonly directFirstMs: readonly number[];
  readonly seconds: number;
}

interface Heard {
  readonly text: string;
  readonly firstMs: number;
  readonly last: string;
}

/** Of each run its own: a server closes what idles between two. */
let agent: Agent;

function listenTo(
  url: string,
  headers: object,
  body: string,
  read: (event: string, data: string) => string,
): Promise<Heard> {
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const asking = request(
      url,
      { method: 'POST', agent, headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        const parser = new SseParser();
        const heard = { text: '', firstMs: Number.NaN, last: String(response.statusCode) };
        response.on('data', (bytes: Buffer) => {
          for (const { event, data } of parser.push(bytes)) {
            const text = read(event, data);
            if (text && Number.isNaN(heard.firstMs)) heard.firstMs = performance.now() - from;
            heard.text += text;
            heard.last = event === 'message' ? data : event;
          }
        });
        response.on('end', () => resolve(heard));
        response.on('error', reject);
      },
    );
    asking.on('error', reject);
    asking.end(body);
  });
}

const readers = {
  native: (event: string, data: string): string => (event === 'delta' ? JSON.parse(data).text : ''),
  chat: (_: string, data: string): string =>
    data === '[DONE]' ? '' : (JSON.parse(data).choices[0]?.delta.content ?? ''),
};

const askGateway = ({ target: { url, headers, body, wire } }: StreamOrder, seed: string) =>
  listenTo(url, headers, body.replace('%s', seed), readers[wire]);

const askProvider = ({ providerUrl }: StreamOrder, seed: string) =>
  listenTo(
    `${providerUrl}/v1/chat/completions`,
    {},
    JSON.stringify({
      model: 'gpt-4o-mini',
      stream: true,
      messages: [{ role: 'user', content: `seed:${seed}` }],
    }),
    readers.chat,
  );

async function run(order: StreamOrder): Promise<StreamReport> {
  const { streams, tokens, openingMs, secondsMax, probeEvery } = order;
  agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  let over = false;
  const giveUp = () => {
    over = true;
    agent.destroy();
  };
  const timer = secondsMax && setTimeout(giveUp, secondsMax * 1_000);
  const faults = new Set<string>();
  const firstMs: number[] = [];
  const directFirstMs: number[] = [];
  const from = performance.now();
  const one = async (index: number) => {
    await delay((index * openingMs) / streams);
    const seed = `${order.seed}${index}`;
    const probe = probeEvery > 0 && index % probeEvery === 0 ? askProvider(order, seed) : undefined;
    probe?.catch(() => {});
    try {
      const heard = await askGateway(order, seed);
      if (!['done', '[DONE]'].includes(heard.last)) faults.add(`ended with ${heard.last}`);
      else if (heard.text !== answerOf(seed, tokens)) faults.add('said something else');
      else firstMs.push(heard.firstMs);
      if (probe) directFirstMs.push((await probe).firstMs);
    } catch (error) {
      faults.add(over ? `not ended after ${secondsMax} s` : String(error));
    }
  };
  await Promise.all(Array.from({ length: streams }, (_, index) => one(index)));
  clearTimeout(timer);
  agent.destroy();
  const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
  return {
    whole: firstMs.length,
    faults: [...faults],
    firstMs: ascending(firstMs),
    directFirstMs: ascending(directFirstMs),
    seconds: (performance.now() - from) / 1000,
  };
}

process.on('message', async (order: StreamOrder) => process.send?.(await run(order)));
process.on('disconnect', () => process.exit(0));
