/** Sends executions over a fixed number of connections for a fixed time and tells how many were answered, and how fast. */
import { Pool } from 'undici';

export interface LoadOrder {
  readonly url: string;
  readonly key: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly executions: number;
  readonly failures: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const body = JSON.stringify({ variables: { text: 'Prompts deserve version control. '.repeat(20) } });

async function run({ url, key, connections, seconds }: LoadOrder): Promise<LoadResult> {
  const pool = new Pool(url, { connections });
  const times: number[] = [];
  let failures = 0;
  const from = performance.now();
  const until = from + seconds * 1000;
  const connection = async () => {
    for (let now = performance.now(); now < until; ) {
      const { statusCode, body: answer } = await pool.request({
        method: 'POST',
        path: '/v1/prompts/bench/executions',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body,
      });
      await answer.dump();
      const ended = performance.now();
      if (statusCode === 200) times.push(ended - now);
      else failures += 1;
      now = ended;
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  const took = (performance.now() - from) / 1000;
  await pool.close();
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { executions: times.length, failures, seconds: took, p50Ms: at(0.5), p99Ms: at(0.99) };
}

process.on('message', async (order: LoadOrder) => process.send?.(await run(order)));
process.on('disconnect', () => process.exit(0));
