/**
 * From a label move through one gateway to its effect in another process, measured: 100 moves each on PostgreSQL with
 * LISTEN, on PGlite, and behind PgBouncer in transaction mode, where LISTEN reaches nobody. The time counts from the
 * moment at which the move is asked for, and ends with the first execution that the other gateway answers by it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startCommand } from '../support/command.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway } from '../support/gateway.ts';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.ts';

const moves = 100;
const files = {
  'greet/1.prompt': definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
  'greet/2.prompt': definition('greet', 2, 'gpt-4o-mini', 'Greet {{name}} warmly.'),
};

async function measureMoves(database: TestDatabase, otherUrl = database.url): Promise<number[]> {
  const directory = await mkdtemp(join(tmpdir(), 'promptgate-other-'));
  const mover = await startGateway({ ...database, url: otherUrl }, { files });
  const other = await startCommand(['serve'], {
    cwd: directory,
    environment: {
      ...{ DATABASE_URL: otherUrl, PORT: '0', PROMPTGATE_LOG_LEVEL: 'silent' },
      ...{ OPENAI_API_KEY: 'test', OPENAI_BASE_URL: `${mover.app.simulatedUrl}/v1` },
    },
  });
  const versionThere = async () => {
    const response = await fetch(`${other.ready.url}/v1/prompts/greet/executions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${mover.keys.execute}` },
      body: JSON.stringify({ variables: { name: 'Ada' } }),
    });
    expect(response.status).toBe(200);
    return ((await response.json()) as { version: number }).version;
  };
  try {
    const times: number[] = [];
    for (let move = 0; move < moves; move++) {
      const version = 1 + (move % 2);
      const askedAt = performance.now();
      const moved = await mover.call('PUT', '/v1/prompts/greet/labels/production', {
        key: mover.keys.admin,
        body: { version },
      });
      expect(moved.body.moved).toBe(true);
      while ((await versionThere()) !== version) expect(performance.now() - askedAt).toBeLessThan(5_000);
      times.push(performance.now() - askedAt);
    }
    return times.sort((a, b) => a - b);
  } finally {
    await other.stop();
    await mover.close();
    await rm(directory, { recursive: true });
  }
}

function report(where: string, times: readonly number[]): void {
  const at = (share: number) => `${Math.round(times[Math.ceil(share * times.length) - 1] ?? Number.NaN)} ms`;
  console.info(
    `${times.length} label moves, ${where}: p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, most ${at(1)}`,
  );
}

describe('a label move takes effect in another process in under a second', () => {
  it.each(databases)(
    'on $name',
    async ({ name, create }) => {
      const database = await create();
      try {
        const times = await measureMoves(database);
        report(name === 'PostgreSQL' ? 'PostgreSQL with LISTEN' : name, times);
        expect(times.at(-1)).toBeLessThan(1_000);
      } finally {
        await database.drop();
      }
    },
    120_000,
  );

  it.skipIf(!hasPgbouncer)(
    'behind PgBouncer in transaction mode (skipped where there is no pgbouncer)',
    async () => {
      const database = await databases[0]!.create();
      const pgbouncer = await startPgbouncer(database.url);
      try {
        const times = await measureMoves(database, pgbouncer.url);
        report('PgBouncer in transaction mode', times);
        expect(times.at(-1)).toBeLessThan(1_000);
      } finally {
        await pgbouncer.stop();
        await database.drop();
      }
    },
    120_000,
  );
});
