/** A database with a prompt, its suite and a probe of it that is due every minute, and gateways as real processes on it. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { openJobQueue } from '../../src/store/job-queue.ts';
import { type RunningCommand, startCommand } from './command.ts';
import { databases } from './databases.ts';
import { type ScriptedAnswer, startScriptedProvider } from './evaluations.ts';
import { definition, startGateway, systemActor } from './gateway.ts';

export async function startProbing(
  cases: readonly string[],
  answer: (asked: string) => ScriptedAnswer = (text) => ({ text }),
) {
  const database = await databases[0]!.create();
  const provider = await startScriptedProvider(answer);
  const { environment } = provider;
  const files = {
    'ticked.prompt': definition(
      'ticked',
      1,
      'gpt-4o-mini',
      'Tick {{name}}',
      'config: { maxOutputTokens: 50 }\n',
    ),
  };
  const gateway = await startGateway(database, { environment, files });
  const tests = cases.map((name) => ({
    id: name,
    vars: { name },
    assert: [{ type: 'contains', value: name }],
  }));
  const source = JSON.stringify({ probe: { schedule: '* * * * *', budget: 1 }, tests });
  const suites = [{ path: 'ticked.eval.yaml', source, files: {} }];
  await gateway.app.gateway.syncPrompts({ files: [], suites, actor: systemActor });
  await gateway.close();
  // What is known when a gateway starts is looked at when it starts.
  const queue = await openJobQueue({ url: database.url, embedded: false, onError() {} });
  await queue.set('probes', new Map([['ticked/default', '* * * * *']]));
  await queue.stop(1_000);
  const sql = postgres(database.url, { max: 2, onnotice: () => {} });
  // That look is long ago: whoever starts looks at once.
  await sql`update promptgate_jobs.version set cron_on = now() - interval '1 hour'`;
  const processes: RunningCommand[] = [];
  return {
    url: database.url,
    sql,
    asked: provider.asked,
    /** `promptgate serve` as a process of its own. */
    async start(): Promise<RunningCommand> {
      const started = await startCommand(['serve'], {
        cwd: await mkdtemp(join(tmpdir(), 'promptgate-probing-')),
        environment: { PORT: '0', DATABASE_URL: database.url, PROMPTGATE_LOG_LEVEL: 'warn', ...environment },
      });
      processes.push(started);
      return started;
    },
    async close() {
      await Promise.all(processes.map((one) => one.stop()));
      await sql.end();
      await provider.close();
      await database.drop();
    },
  };
}
