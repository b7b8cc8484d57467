import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { databases } from '../support/databases.ts';
import { type Answer, definition, startGateway } from '../support/gateway.ts';

const perSecond = 200;
const seconds = 5;
const versions = [1, 2, 3, 4, 5];
const files = Object.fromEntries(
  versions.map((version) => [
    `greet/${version}.prompt`,
    definition('greet', version, 'gpt-4o-mini', `Greet {{name}}, in ${version} words.`),
  ]),
);

describe('rolling back under load', () => {
  it(`of ${perSecond} executions a second: no error, and every row names exactly one version`, async () => {
    const database = await databases[0]!.create();
    const gateway = await startGateway(database, { files });
    try {
      const label = '/v1/prompts/greet/labels/production';
      const admin = { key: gateway.keys.admin };
      for (const version of versions) await gateway.call('PUT', label, { ...admin, body: { version } });
      const startedAt = performance.now();
      const answers: Promise<Answer>[] = [];
      const rollbacks: { toVersion: number; answeredAt: number }[] = [];
      for (let second = 0; second < seconds; second++) {
        for (let slice = 0; slice < 20; slice++) {
          for (let call = 0; call < perSecond / 20; call++) {
            answers.push(gateway.execute('greet', { variables: { name: 'Ada' } }));
          }
          if (slice === 10 && second < versions.length - 1) {
            const { body } = await gateway.call('POST', `${label}/rollback`, {
              ...admin,
              body: { reason: 'load' },
            });
            rollbacks.push({ toVersion: body.deployment.to_version, answeredAt: Date.now() });
          }
          await delay(Math.max(0, startedAt + second * 1_000 + slice * 50 - performance.now()));
        }
      }
      const all = await Promise.all(answers);
      const rate = all.length / ((performance.now() - startedAt) / 1_000);
      console.info(
        `${all.length} executions at ${Math.round(rate)} a second across ${rollbacks.length} rollbacks`,
      );
      expect(rollbacks.map(({ toVersion }) => toVersion)).toEqual([4, 3, 2, 1]);
      expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));

      const rows = await gateway.query(`
        select e.id, e.prompt_version, e.status, e.started_at, v.version
          from ai_executions e join prompt_versions v on v.id = e.prompt_version_id and v.name = e.prompt_name`);
      expect(rows).toHaveLength(all.length);
      const answered = new Map(all.map(({ body }) => [body.id, body.version]));
      for (const row of rows) {
        expect(row.status).toBe('succeeded');
        expect([row.prompt_version, row.version]).toEqual([answered.get(row.id), answered.get(row.id)]);
      }
      // Whatever began after a rollback was answered ran on what it rolled back to, or on what came later.
      for (const { toVersion, answeredAt } of rollbacks) {
        const later = rows.filter((row) => row.started_at.getTime() > answeredAt);
        expect(Math.max(0, ...later.map((row) => row.prompt_version))).toBeLessThanOrEqual(toVersion);
      }
    } finally {
      await gateway.close();
      await database.drop();
    }
  }, 60_000);
});
