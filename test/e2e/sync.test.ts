import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorTable } from '../../src/domain/errors.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, systemActor, type TestGateway } from '../support/gateway.ts';
import { prompt } from '../support/repository.ts';
import { runAgainst } from '../support/run-against.ts';

describe.each(databases)('files and registry, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  const directories: string[] = [];

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files: {} });
  });
  afterAll(async () => {
    await gateway.close();
    await database.drop();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  /** A directory with these definitions below `prompts/`, and the commands run in it. */
  function tree(files: Record<string, string>) {
    const directory = mkdtempSync(join(tmpdir(), 'promptgate-sync-'));
    mkdirSync(join(directory, 'prompts'));
    directories.push(directory);
    const put = (path: string, text: string) => {
      mkdirSync(dirname(join(directory, 'prompts', path)), { recursive: true });
      writeFileSync(join(directory, 'prompts', path), text);
    };
    for (const [path, text] of Object.entries(files)) put(path, text);
    const remove = (path: string) => rmSync(join(directory, 'prompts', path));
    return { directory, put, remove, run: (...args: string[]) => runAgainst(gateway, directory, args) };
  }

  async function count(name: string): Promise<number> {
    return Number(
      (await gateway.query(`select count(*) from prompt_versions where name like '${name}'`))[0].count,
    );
  }

  it('registers 195 of 200 files when 5 are broken, says where, and only those 5 change when they are put right', async () => {
    const files = new Map<string, string>();
    for (let index = 0; index < 200; index++) {
      files.set(
        `team-${index % 7}/many-${index}.prompt`,
        prompt(`many-${index}`, 1, `Answer ${index}: {{text}}`),
      );
    }
    const paths = [...files.keys()];
    const broken = [
      [paths[3]!, '---\nname: many-3\nversion: 1\nmodel: [\n---\nGo.', /YAML/],
      [paths[50]!, prompt('many-50', 1, 'Answer {{txet}}'), /8:10: The variable `txet` is not declared/],
      [paths[77]!, prompt('many-77', 1, '{{#if text}}never closed'), /8:\d+: /],
      [paths[120]!, prompt('many-120', 1, '{{> nowhere}} {{text}}'), /8:1: There is no partial `nowhere`/],
      [
        paths[199]!,
        prompt('many-199', 1, 'Go {{text}}', 'temperature: 1\n'),
        /5:1: There is no key `temperature`/,
      ],
    ] as const;
    const { put, run } = tree(Object.fromEntries(files));
    for (const [path, text] of broken) put(path, text);

    const first = await run('sync');
    expect(first.code).toBe(2);
    expect(first.out).toContain('195 synced, 0 unchanged, 0 skipped, 5 failed');
    for (const [path, , problem] of broken) {
      expect(first.out).toMatch(new RegExp(`  ${path}:\\d+:\\d+: `));
      expect(first.out).toMatch(problem);
    }
    expect(await count('many-%')).toBe(195);

    for (const [path] of broken) put(path, files.get(path)!);
    const second = await run('sync');
    expect([second.code, second.out.split('\n').at(-1)]).toEqual([
      0,
      '5 synced, 195 unchanged, 0 skipped, 0 failed',
    ]);
    expect((await run('sync')).out).toBe('0 synced, 200 unchanged, 0 skipped, 0 failed');
    expect(await count('many-%')).toBe(200);
  });

  it('plans without changing anything, and sync does what was planned', async () => {
    const { run } = tree({ 'a.prompt': prompt('planned', 1, 'Go {{text}}'), 'b.prompt': 'broken' });
    const planned = await run('plan', '--deploy', 'production');
    expect(planned.code).toBe(2);
    expect(planned.out).toContain('add planned v1  a.prompt');
    expect(planned.out).toContain('move planned production: v1');
    expect(planned.out).toContain('1 to add, 0 unchanged, 0 to skip, 1 would fail');
    expect(await count('planned')).toBe(0);
    const synced = await run('sync', '--deploy', 'production');
    expect(synced.out).toContain('moved   planned production: v1');
    expect(await count('planned')).toBe(1);
  });

  it('refuses other content under a registered number and says what differs, also when it is a partial', async () => {
    const { put, run } = tree({
      'own.prompt': prompt('own', 1, 'Be kind to {{text}}.'),
      'user.prompt': prompt('user', 1, '{{> manner}} {{text}}'),
      '_manner.prompt': 'Be kind.',
    });
    await run('sync');
    put('own.prompt', prompt('own', 1, 'Be brief with {{text}}.'));
    put('_manner.prompt', 'Be brief.');
    const { code, out } = await run('sync');
    expect(code).toBe(6);
    expect(out).toContain(
      'failed  own v1  own.prompt: version 1 is registered with other content, and a version never changes',
    );
    expect(out).toContain('Be [-kind to-]{+brief with+} {{text}}.');
    expect(out).toContain('because its partial manner changed');
    expect(out).toContain('Be [-kind-]{+brief+}.');
    put('user.prompt', prompt('user', 2, '{{> manner}} {{text}}'));
    expect((await run('sync')).out).toContain('synced  user v2');
    const [one, two] = await gateway.query(
      "select partials from prompt_versions where name = 'user' order by version",
    );
    expect([one.partials.manner, two.partials.manner]).toEqual(['Be kind.', 'Be brief.']);
  });

  it('skips a number older than the newest unless a backfill is meant, and never takes a number twice', async () => {
    const { put, run } = tree({ 'late.prompt': prompt('late', 5, 'Five {{text}}') });
    await run('sync');
    put('late.prompt', prompt('late', 3, 'Three {{text}}'));
    const skipped = await run('sync');
    expect(skipped.code).toBe(6);
    expect(skipped.out).toContain('skipped late v3  late.prompt: version 3 is older than the newest, 5.');
    expect(await count('late')).toBe(1);
    expect((await run('sync', '--allow-backfill')).code).toBe(0);
    expect(await count('late')).toBe(2);
    await gateway.call('POST', '/v1/prompts/late/archive', { key: gateway.keys.admin, body: { version: 3 } });
    put('late.prompt', prompt('late', 3, 'Another three {{text}}'));
    expect((await run('sync', '--allow-backfill')).out).toContain('failed  late v3');
  });

  it('uses neither of two files with one name and version, and registers the rest', async () => {
    const { run } = tree({
      'a.prompt': prompt('twin', 1, 'One {{text}}'),
      'b.prompt': prompt('twin', 1, 'Two {{text}}'),
      'c.prompt': prompt('single', 1, 'Go {{text}}'),
    });
    const { code, out } = await run('sync');
    expect([code, out]).toEqual([
      2,
      expect.stringContaining('a.prompt:3:1: twin version 1 is in b.prompt too'),
    ]);
    expect([await count('twin'), await count('single')]).toEqual([0, 1]);
  });

  it('keeps a label where it is when its break of the contract is not declared, and moves it when it is', async () => {
    const { put, run } = tree({ 'strict.prompt': prompt('strict', 1, 'Go {{text}}') });
    await run('sync', '--deploy', 'production');
    put('strict.prompt', prompt('strict', 2, 'Go {{text}} {{tone}}', '', '{ text: string, tone: string }'));
    const planned = await run('plan', '--deploy', 'production');
    expect([planned.code, planned.out]).toEqual([
      6,
      expect.stringMatching(/stay strict production: v1 → v2: .*breaks/),
    ]);
    const refused = await run('sync', '--deploy', 'production');
    expect(refused.code).toBe(6);
    expect(refused.out).toContain('stayed  strict production: v1 → v2');
    const declared = prompt(
      'strict',
      3,
      'Go {{text}} {{tone}}!',
      'breaking: send tone\n',
      '{ text: string, tone: string }',
    );
    put('strict.prompt', declared);
    expect((await run('plan', '--deploy', 'production')).out).toContain('move strict production: v1 → v3');
    expect((await run('sync', '--deploy', 'production')).out).toContain('moved   strict production: v1 → v3');
  });

  it('plans that a gated label stays, as sync then leaves it', async () => {
    const { run } = tree({ 'guard.prompt': prompt('guard', 1, 'Go {{text}}') });
    await gateway.call('PUT', '/v1/labels/guarded/gate', { key: gateway.keys.admin, body: { gated: true } });
    for (const command of ['plan', 'sync']) {
      const { code, out } = await run(command, '--deploy', 'guarded');
      expect([code, out]).toEqual([
        6,
        expect.stringMatching(/stay.* guard guarded: v1: Label "guarded" is gated/),
      ]);
    }
  });

  it('moves no label backwards while a file cannot be read: it may be the newest version', async () => {
    const { put, run } = tree({
      'steps/1.prompt': prompt('steps', 1, 'One {{text}}'),
      'steps/2.prompt': prompt('steps', 2, 'Two {{text}}'),
    });
    await run('sync', '--deploy', 'production');
    put('steps/2.prompt', 'broken');
    expect((await run('sync', '--deploy', 'production')).out).not.toContain('moved');
    const [label] = await gateway.query("select version from prompt_labels where prompt_name = 'steps'");
    expect(label.version).toBe(2);
  });

  it('tells in the exit code of status how files and registry differ', async () => {
    const own = await create();
    const empty = await startGateway(own, { files: {} });
    try {
      const { put, remove, directory } = tree({});
      const run = (...args: string[]) => runAgainst(empty, directory, args);
      const status = async () => {
        const { code, out } = await run('status', '--json');
        const { exit_code, states } = JSON.parse(out);
        expect(exit_code).toBe(code);
        return [code, ...states.map(({ state, name }: Record<string, string>) => `${state} ${name}`).sort()];
      };
      expect(await status()).toEqual([0]);
      put('a.prompt', prompt('a', 1, 'One {{text}}'));
      expect(await status()).toEqual([2, 'new a']);
      await run('sync');
      expect(await status()).toEqual([0, 'unchanged a']);
      put('a.prompt', prompt('a', 1, 'Edited {{text}}'));
      expect(await status()).toEqual([4, 'modified! a']);
      put('a.prompt', prompt('a', 3, 'Three {{text}}'));
      expect(await status()).toEqual([2 + 32, 'gap a', 'new a']);
      await run('sync');
      put('a.prompt', 'broken');
      expect(await status()).toEqual([64, 'invalid null']);
      put('a.prompt', prompt('a', 1, 'One {{text}}'));
      expect(await status()).toEqual([16 + 32, 'behind a', 'gap a', 'unchanged a']);
      remove('a.prompt');
      put('b.prompt', 'broken');
      expect(await status()).toEqual([8 + 32 + 64, 'gap a', 'invalid null', 'missing in git a']);
      put('b.prompt', prompt('b', 1, 'Go {{text}}'));
      put('c.prompt', prompt('b', 1, 'Go {{text}}'));
      expect(await status()).toEqual([
        8 + 32 + 128,
        'duplicate b',
        'duplicate b',
        'gap a',
        'missing in git a',
      ]);
      expect((await run('status')).out).toContain('missing in git  a v3: registered, and no file defines it');
    } finally {
      await empty.close();
      await own.drop();
    }
  });

  it('shows and takes nothing of prompts that the key may not use', async () => {
    const { run, put, directory } = tree({
      'secret.prompt': prompt('secret-plan', 1, 'The secret {{text}}'),
    });
    await run('sync');
    const made = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: 'limited', scopes: ['publish'], prompts: ['open-*'] },
    });
    const files = [
      { path: 'a.prompt', source: prompt('secret-plan', 1, 'A guess {{text}}') },
      { path: 'b.prompt', source: prompt('open-one', 1, 'Go {{text}}') },
    ];
    const key = made.body.secret;
    const planned = await gateway.call('POST', '/v1/plan', { key, body: { files } });
    expect(planned.status).toBe(200);
    expect(JSON.stringify(planned.body)).not.toContain('The secret');
    expect(planned.body.prompts.map(({ name }: { name: string }) => name)).toEqual(['open-one']);
    const synced = await gateway.call('POST', '/v1/sync', { key, body: { files } });
    expect(synced.body.files.map(({ outcome }: { outcome: string }) => outcome).sort()).toEqual([
      'failed',
      'synced',
    ]);
    const deployed = await gateway.call('POST', '/v1/sync', {
      key,
      body: { files, deploy: { label: 'production' } },
    });
    expect(deployed.status).toBe(403);
    put('secret.prompt', prompt('secret-plan', 2, 'Another guess {{text}}'));
    for (const command of ['plan', 'sync']) {
      const limited = { url: gateway.url, keys: { ...gateway.keys, admin: key } };
      expect((await runAgainst(limited, directory, [command])).code).toBe(errorTable.forbidden.exitCode);
    }
  });
});

describe('two syncs at once, on PostgreSQL', () => {
  let database: TestDatabase;
  let gateways: TestGateway[];
  beforeAll(async () => {
    database = await databases[0]!.create();
    gateways = [await startGateway(database, { files: {} }), await startGateway(database, { files: {} })];
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    await database.drop();
  });

  it('end in one consistent state in each of 100 rounds, and an edit that lost is told', async () => {
    for (let round = 1; round <= 100; round++) {
      const files = (who: number) => [
        { path: 'same.prompt', source: prompt('same', round, `Round ${round} {{text}}`) },
        { path: 'torn.prompt', source: prompt('torn', round, `Round ${round} by ${who} {{text}}`) },
      ];
      const deploy = { label: 'production', reason: `round ${round}` };
      const reports = await Promise.all(
        gateways.map(({ app }, who) =>
          app.gateway.syncPrompts({ files: files(who), actor: systemActor, deploy }),
        ),
      );
      const outcomes = (name: string) =>
        reports.map(({ files }) => files.find((file) => file.name === name)?.outcome).sort();
      expect(outcomes('same')).toEqual(['synced', 'unchanged']);
      expect(outcomes('torn')).toEqual(['failed', 'synced']);
    }
    const [gateway] = gateways;
    const versions = await gateway!.query(
      'select name, count(*)::int as n, max(version) as newest from prompt_versions group by name order by name',
    );
    expect(versions).toEqual([
      { name: 'same', n: 100, newest: 100 },
      { name: 'torn', n: 100, newest: 100 },
    ]);
    const ledger = await gateway!.query(
      'select prompt_name, from_version, to_version, kind from prompt_deployments order by id',
    );
    for (const name of ['same', 'torn']) {
      const moves = ledger.filter((row) => row.prompt_name === name);
      expect(moves).toEqual(
        Array.from({ length: 100 }, (_, index) => ({
          ...{
            prompt_name: name,
            from_version: index === 0 ? null : index,
            to_version: index + 1,
            kind: 'sync',
          },
        })),
      );
    }
    const labels = await gateway!.query(
      'select prompt_name, version from prompt_labels order by prompt_name',
    );
    expect(labels).toEqual([
      { prompt_name: 'same', version: 100 },
      { prompt_name: 'torn', version: 100 },
    ]);
  }, 120_000);
});
