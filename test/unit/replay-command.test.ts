// What `replay` takes, and what its exit code says. The gateway here answers as told, and keeps what it was asked.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { Command } from 'commander';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addBatchOptions } from '../../src/cli/replay-batch.ts';
import { createProgress } from '../../src/cli/run-progress.ts';
import { runAgainst } from '../support/run-against.ts';

const asked: { readonly url: string; readonly body: object }[] = [];
let reproduced = true;
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const url = request.url ?? '';
  asked.push({ url, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
  if (url === '/v1/replays') {
    const report = { sample: 2, reproduced: reproduced ? 2 : 1 };
    response.setHeader('content-type', 'text/event-stream');
    response.end(`event: report\ndata: ${JSON.stringify(report)}\n\n`);
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({ original: {}, departures: [], reproduced, rendered_hash: 'abc', execution: null }),
  );
});

beforeAll(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)));
afterAll(() => void server.close());
beforeEach(() => {
  asked.length = 0;
  reproduced = true;
});

const replay = (...args: string[]) => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return runAgainst({ url, keys: { execute: 'k', admin: 'k' } }, tmpdir(), ['replay', '--json', ...args]);
};

describe('replay of one execution', () => {
  it('runs on what --to names, a version or a label', async () => {
    expect([await replay('ID', '--to', '4'), await replay('ID', '--to', 'staging')]).toMatchObject([
      { code: 0 },
      { code: 0 },
    ]);
    const [version, label] = [{ version: 4 }, { label: 'staging' }].map((to) => ({ dry_run: false, ...to }));
    expect(asked.map(({ body }) => body)).toEqual([version, label]);
    expect(await replay('ID', '--to', '4', '--version', '3')).toMatchObject({ code: 2 });
    expect(asked).toHaveLength(2);
  });

  const values: Record<string, string> = { stratify: 'length', rate: '5/s', sample: '3', concurrency: '3' };
  const ofSample = addBatchOptions(new Command()).options.filter(({ long }) => long !== '--to');

  it.each(ofSample.map((option) => option.long!))(
    'takes no %s, and says so before anybody is asked',
    async (flag) => {
      const isSwitch = ofSample.find(({ long }) => long === flag)?.isBoolean();
      const value = isSwitch ? [] : [values[flag.slice(2)] ?? 'x'];
      const { code, out } = await replay('ID', flag, ...value);
      expect([code, JSON.parse(out).error.message]).toEqual([2, expect.stringContaining(flag)]);
      expect(asked).toEqual([]);
    },
  );
});

it('says once that a run which is gone on with waits, and nothing where nobody watches', () => {
  const said: string[] = [];
  const drawn = (quiet: boolean) =>
    createProgress(
      { err: (text) => void said.push(text) },
      { isTTY: false, write: () => true },
      () => [],
      quiet,
    );
  for (const progress of [drawn(false), drawn(true)]) {
    progress.wait(3);
    progress.wait(2);
  }
  expect(said).toEqual([expect.stringMatching(/^3 calls of the earlier part are in flight still; waiting/)]);
});

describe.each([
  ['one execution', ['ID']],
  ['a sample', ['--prompt', 'echo']],
])('a dry run of %s', (_what, args) => {
  it('exits with 0 where the messages are those that were sent, and with 1 where they are not', async () => {
    expect(await replay(...args, '--dry-run')).toMatchObject({ code: 0 });
    reproduced = false;
    expect(await replay(...args, '--dry-run')).toMatchObject({ code: 1 });
    // Another model gets the same messages; another version is asked for because it makes others.
    expect(await replay(...args, '--dry-run', '--model', 'gpt-4o')).toMatchObject({ code: 1 });
    expect(await replay(...args, '--dry-run', '--to', '2')).toMatchObject({ code: 0 });
    expect(await replay(...args)).toMatchObject({ code: 0 });
  });
});
