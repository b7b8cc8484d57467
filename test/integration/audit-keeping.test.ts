import postgres from 'postgres';
import { v7 } from 'uuid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical-json.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { attempt, execution, intent, promptVersion } from '../support/records.ts';

const answer = 'An answer.';
const sound = (changes: Parameters<typeof execution>[0] = {}) =>
  execution({
    rawOutput: answer,
    responseHash: sha256(answer),
    attempts: [{ ...attempt, number: 1 }],
    idempotencyKey: null,
    ...changes,
  });

describe.each(databases)('keeping the audit trail on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  let sql: postgres.Sql;

  beforeEach(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
  });
  afterEach(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  const broken = async (since?: Date) =>
    (await store.keeping.verify(since)).filter(({ violations }) => violations > 0);

  describe('verification', () => {
    it('finds nothing in a sound trail with calls in flight, late outcomes and moved labels', async () => {
      await store.registry.addVersion(promptVersion(), 'ci');
      await store.registry.addVersion(promptVersion({ version: 2, checksum: 'b'.repeat(64) }), 'ci');
      for (const toVersion of [1, 2, 1]) {
        await store.registry.moveLabel({
          ...{ promptName: 'summarize', label: 'production', toVersion },
          ...{ kind: 'deploy', actor: 'ci', reason: null, gitCommit: null },
        } as never);
      }
      const lost = sound({ status: 'unknown', rawOutput: null, responseHash: null });
      await store.audit.settle([sound(), lost]);
      await store.audit.settle([{ ...lost, status: 'succeeded' }]);
      await store.audit.writeIntents([intent()]);
      expect(await broken()).toEqual([]);
      expect(await store.audit.findLateOutcome(lost.id)).toBeDefined();
    });

    it.each<[string, string, () => Promise<unknown>]>([
      [
        'response_hashes',
        'an output that is not the one that was hashed',
        () => store.audit.settle([sound({ rawOutput: 'Another answer.' })]),
      ],
      ['attempts', 'an answer without a request', () => store.audit.settle([sound({ attempts: [] })])],
      [
        'attempts',
        'a gap in the attempts',
        () =>
          store.audit.settle([
            sound({
              attempts: [
                { ...attempt, number: 1 },
                { ...attempt, number: 3 },
              ],
            }),
          ]),
      ],
      [
        'intents_alive',
        'an intent of a gateway that is gone',
        async () => {
          await store.audit.writeIntents([intent()]);
          await sql`update ai_execution_intents set created_at = now() - interval '1 hour'`;
        },
      ],
      [
        'claims',
        'a claim of nobody',
        () =>
          sql`insert into idempotency_keys values ('key:a', 'k', 'f', ${v7()}, now() - interval '1 hour')`,
      ],
      [
        'guards',
        'a guard that was switched off',
        () => sql`alter table ai_executions disable trigger refuse_change`,
      ],
    ])('%s: finds %s', async (check, _what, harm) => {
      await store.audit.settle([sound()]);
      await harm();
      const found = await broken();
      expect(found.map(({ name }) => name)).toEqual([check]);
      expect(found[0]).toMatchObject({ violations: 1, examples: [expect.any(String)] });
    });

    it('looks at executions from a time on, where told', async () => {
      const old = v7({ msecs: Date.now() - 86_400_000 });
      await store.audit.settle([sound({ id: old, rawOutput: 'Another answer.' })]);
      expect(await broken(new Date(Date.now() - 3_600_000))).toEqual([]);
      expect(await broken()).toHaveLength(1);
    });
  });

  describe('retention', () => {
    /** Months before this one that have a partition and a row. */
    async function makeMonths(count: number): Promise<string[]> {
      const names: string[] = [];
      for (let back = count; back >= 1; back--) {
        const [month] = await sql`
          select to_char(m, 'YYYY_MM') as name, execution_id_at(m at time zone 'UTC') as low,
                 execution_id_at((m + interval '1 month') at time zone 'UTC') as high, m at time zone 'UTC' as at
            from (select date_trunc('month', now() at time zone 'UTC') - make_interval(months => ${back}) as m) x`;
        const name = `ai_executions_${month?.name}`;
        await sql.unsafe(
          `create table ${name} partition of ai_executions for values from ('${month?.low}') to ('${month?.high}');
           call make_append_only('${name}', false)`,
        );
        await store.audit.settle([sound({ id: v7({ msecs: month!.at.getTime() + 1_000 }) })]);
        names.push(name);
      }
      return names;
    }
    const rows = async () => Number((await sql`select count(*) as n from ai_executions`)[0]?.n);

    it('drops whole months before the ones to keep, oldest first, and records each', async () => {
      const names = await makeMonths(4);
      await store.audit.settle([sound()]);
      const dropped = await store.keeping.retain(2, 'key:ops');
      expect(dropped).toMatchObject(
        names.slice(0, 2).map((partition) => ({ partition, monthsKept: 2, actor: 'key:ops' })),
      );
      expect(await rows()).toBe(3);
      expect(await store.keeping.retain(2, 'key:ops')).toEqual([]);
      expect((await sql`select partition from audit_retentions`).map((row) => row.partition)).toEqual(
        names.slice(0, 2),
      );
      await expect(sql`delete from audit_retentions`).rejects.toThrow();
      const idIn = (partition: string) => {
        const [year, month] = partition.split('_').slice(-2).map(Number);
        return v7({ msecs: Date.UTC(year!, month! - 1, 15) });
      };
      const told = await Promise.all(names.map((name) => store.audit.findRetention(idIn(name))));
      expect(told).toEqual([expect.any(Date), expect.any(Date), undefined, undefined]);
      expect(Math.abs(told[0]!.getTime() - Date.now())).toBeLessThan(60_000);
      expect(await broken()).toEqual([]);
    });

    it.each([0, -1])('is refused by the database when it would keep %i months', async (months) => {
      await makeMonths(1);
      await expect(store.keeping.retain(months, 'x')).rejects.toMatchObject({ code: 'internal' });
      await expect(sql`select drop_execution_partitions(${months}, 'x')`).rejects.toThrow('never dropped');
      expect(await rows()).toBe(1);
    });
  });
});
