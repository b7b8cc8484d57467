import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorTable } from '../../src/domain/errors.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';
import { runAgainst } from '../support/run-against.ts';

/** Every answer of the simulated provider says so. */
const suite = (value = 'No model was called', more = '') =>
  `${more}tests:\n  - id: kind\n    vars: { name: Ada }\n    assert: [{ type: contains, value: ${value} }]\n`;

describe.each(databases)('a gate, through two gateways on $name', ({ create }) => {
  let database: TestDatabase;
  let one: TestGateway;
  let other: TestGateway;
  let directory: string;

  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, 'prompts', path)), { recursive: true });
    writeFileSync(join(directory, 'prompts', path), text);
  };
  const version = (name: string, number: number) =>
    write(
      `${name}.prompt`,
      definition(
        name,
        number,
        'gpt-4o-mini',
        `${number}: greet {{name}}.`,
        'config: { maxOutputTokens: 50 }\n',
      ),
    );

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'promptgate-gates-'));
    database = await create();
    one = await startGateway(database, { files: {} });
    other = await startGateway(database, { files: {} });
    for (const name of ['greet', 'part']) version(name, 1);
    await run('sync', '--deploy', 'production', '--reason', 'first');
    await run('gate', 'set', 'production', 'on', '--simulated', '--threshold', '90%', '--reason', 'SOX');
  });
  afterAll(async () => {
    await one?.close();
    await other?.close();
    await database?.drop();
    rmSync(directory, { recursive: true });
  });

  const run = (...args: string[]) => runAgainst(one, directory, args);
  const deploy = (gateway: TestGateway, name: string, body: object, key = gateway.keys.admin) =>
    gateway.call('PUT', `/v1/prompts/${name}/labels/production`, { key, body });
  const label = async (name: string) =>
    (await other.call('GET', `/v1/labels?prompt=${name}`, { key: other.keys.admin })).body.data[0];
  const { conflict } = errorTable;

  it('refuses an untested version by CLI, HTTP, sync and SQL in the same words, and takes it once it has passed', async () => {
    version('greet', 2);
    write('greet.eval.yaml', suite());
    const missing = /"greet" has not been evaluated by its suite\. Next: `promptgate eval greet --version 2`/;
    const planned = await run('plan', '--deploy', 'production');
    expect([planned.code, planned.out]).toEqual([
      conflict.exitCode,
      expect.stringContaining('add suite "default"'),
    ]);
    const synced = await run('sync', '--deploy', 'production');
    expect([synced.code, synced.out]).toEqual([conflict.exitCode, expect.stringMatching(missing)]);
    // The version is there, or nothing could be evaluated; only the label stayed.
    expect(synced.out).toMatch(/synced {2}greet v2[\s\S]*synced {2}suite "default" of greet/);
    expect((await label('greet')).version).toBe(1);
    const byCommand = await run('deploy', 'greet', 'production', '2', '--reason', 'shorter');
    expect([byCommand.code, byCommand.err]).toEqual([conflict.exitCode, expect.stringMatching(missing)]);
    const byHttp = await deploy(other, 'greet', { version: 2 });
    expect([byHttp.status, byHttp.body.error.message]).toEqual([409, expect.stringMatching(missing)]);
    const bySql =
      one.query(`insert into prompt_deployments (prompt_name, label, kind, from_version, to_version, actor)
      values ('greet', 'production', 'deploy', 1, 2, 'owner')`);
    await expect(bySql).rejects.toMatchObject({
      message: expect.stringContaining('(not_evaluated)'),
      hint: 'promptgate eval greet --version 2',
    });

    expect((await run('eval', 'greet', '--version', '2')).code).toBe(0);
    const { status, body } = await deploy(other, 'greet', { version: 2, reason: 'shorter' });
    expect([status, body.deployment]).toMatchObject([
      200,
      { kind: 'deploy', evaluation_id: expect.any(Number) },
    ]);
    expect((await label('greet')).gate).toMatchObject({ unproven: null, glass_broken: false });
    expect((await run('gate', 'show', 'production')).out).toMatch(
      /asks for its suite passed, at least 90 %, simulated answers count[\s\S]*greet +v2 +tested/,
    );
  });

  it('says of each version whether it is tested, without the gate that counts simulated answers', async () => {
    const { body } = await one.call('GET', '/v1/prompts/greet/versions', { key: one.keys.admin });
    expect(body.data.map((found: { tested: object }) => found.tested)).toMatchObject([
      { tested: false, untested: 'simulated', score: 1 },
      { tested: false, untested: 'not_evaluated', score: null },
    ]);
  });

  it('takes evidence as stale from the sync on that brings another text of the suite', async () => {
    write('greet.eval.yaml', suite('No model', 'repeats: 2\n'));
    expect((await run('sync')).code).toBe(0);
    expect((await label('greet')).gate).toMatchObject({ unproven: 'stale_suite' });
    expect((await run('labels', 'greet')).out).toContain('production (gated, stale_suite)');
    const back = await run('rollback', 'greet', 'production', '--to', '1', '--reason', 'INC-7');
    expect([back.code, back.out]).toEqual([0, expect.stringContaining('v2 → v1')]);
    const forth = await run('deploy', 'greet', 'production', '2', '--reason', 'again');
    expect(forth.err).toMatch(/the suite has changed since.*promptgate rollback greet production --to 2/);
  });

  it('is passed by breaking its glass: with the scope, with a reason, and seen until the version has passed', async () => {
    version('part', 2);
    write('part.eval.yaml', suite());
    await run('sync');
    const keyWith = async (...scopes: string[]) =>
      (await one.call('POST', '/v1/keys', { key: one.keys.admin, body: { name: scopes.join('.'), scopes } }))
        .body.secret;
    const glass = { version: 2, break_glass: true };
    const [plain, brave] = [await keyWith('deploy'), await keyWith('deploy', 'break_glass')];
    expect((await deploy(one, 'part', { ...glass, reason: 'INC-8' }, plain)).status).toBe(403);
    expect((await deploy(one, 'part', glass, brave)).body.error.code).toBe('invalid_request');
    const { body } = await deploy(one, 'part', { ...glass, reason: 'INC-8' }, brave);
    expect(body.deployment).toMatchObject({ kind: 'break_glass', reason: 'INC-8', evaluation_id: null });
    expect((await label('part')).gate).toMatchObject({ glass_broken: true });
    expect((await run('status')).out).toMatch(
      /GLASS BROKEN +part production v2, by key:deploy\.break_glass, .*INC-8 {2}Next: promptgate eval part --version 2/,
    );
    expect((await run('eval', 'part', '--version', '2')).code).toBe(0);
    expect((await run('status')).out).not.toContain('GLASS');
  });

  it('is asked by deploy --eval for what it wants: its suite, its tries, its comparison', async () => {
    const asks = ['--suite', 'nightly', '--repeats', '3', '--margin', '1', '--prompt', 'greet'];
    expect((await run('gate', 'set', 'production', 'on', '--simulated', ...asks)).code).toBe(0);
    version('greet', 3);
    write('more/greet-nightly.eval.yaml', suite('No model', 'prompt: greet\nsuite: nightly\nrepeats: 2\n'));
    await run('sync');
    const refused = await run('deploy', 'greet', 'production', '3', '--reason', 'x');
    const command = 'promptgate eval greet --version 3 --suite nightly --repeats 3 --against production';
    expect(refused.err).toContain(`Next: \`${command}\``);
    const fewer = await run('eval', 'greet', '--version', '3', '--suite', 'nightly', '--repeats', '1');
    expect(fewer.out).toContain('not recorded: the suite asks for 2 tries of each case, and this run made 1');
    write('greet.eval.yaml', suite('No', 'repeats: 5\n'));
    const stale = await run('eval', 'greet', '--version', '3');
    expect([stale.code, stale.out]).toEqual([
      0,
      expect.stringContaining('no gate takes it: suite "default" is registered with another text'),
    ]);
    const moved = await run('deploy', 'greet', 'production', '3', '--eval', '--reason', 'tried');
    expect([moved.code, moved.out]).toEqual([
      0,
      expect.stringMatching(/suite nightly.*3 of 3 answers[\s\S]*→ v3/),
    ]);
    expect(moved.out).not.toContain('no gate takes it');
    // What the refusal names is enough as well.
    version('greet', 4);
    await run('sync');
    expect((await run(...command.replace('--version 3', '--version 4').split(' ').slice(1))).code).toBe(0);
    expect((await deploy(other, 'greet', { version: 4 })).status).toBe(200);
  });

  it('of one prompt may be opened; a suite that does not parse is told by its line and leaves the one in force', async () => {
    await run('gate', 'set', 'production', 'off', '--prompt', 'part', '--reason', 'pilot');
    version('part', 3);
    write('part.eval.yaml', 'tests: 7\n');
    const { code, out } = await run('sync', '--deploy', 'production');
    expect([code, out]).toEqual([
      errorTable.invalid_request.exitCode,
      expect.stringContaining('part.eval.yaml:1:'),
    ]);
    expect((await label('part')).version).toBe(3);
    expect((await run('gate', 'set', 'production', 'inherit', '--prompt', 'part')).code).toBe(0);
    expect((await label('part')).gate).toMatchObject({ gated: true, unproven: 'not_evaluated' });
  });

  it('counts each move by its kind and each refusal, of whichever verb, once and at the gateway that was asked', async () => {
    const gateway = await startGateway(database, { files: {} });
    const name = 'counted';
    const files = [1, 2].map((number) => ({
      path: `${name}/${number}.prompt`,
      source: definition(name, number, 'gpt-4o-mini', `${number}: {{name}}.`),
    }));
    const actor = { name: 'system', keyId: null, scopes: ['admin' as const] };
    const sync = (label: string) =>
      gateway.app.gateway.syncPrompts({ files, actor, deploy: { label, reason: null } });
    await gateway.app.gateway.gateLabel({ actor, label: 'open', gated: false, reason: null });
    expect((await sync('production')).refusals).toHaveLength(1);
    expect((await sync('open')).deployments).toHaveLength(1);
    const move = (label: string, method: string, path: string, body: object) =>
      gateway.call(method, `/v1/prompts/${name}/labels/${label}${path}`, { key: gateway.keys.admin, body });
    expect((await move('production', 'PUT', '', { version: 1 })).status).toBe(409);
    const glass = { version: 1, break_glass: true, reason: 'INC-9' };
    expect((await move('production', 'PUT', '', glass)).status).toBe(200);
    for (const version of [1, 2, 2]) expect((await move('open', 'PUT', '', { version })).status).toBe(200);
    expect((await move('open', 'POST', '/rollback', {})).status).toBe(200);
    const { body } = await gateway.call('GET', '/metrics', { key: null });
    const lines: string[] = body.split('\n');
    expect(lines.filter((line) => /^promptgate_(label_moves|gate_refusals)/.test(line)).sort()).toEqual([
      'promptgate_gate_refusals_total{label="production"} 2',
      'promptgate_label_moves_total{label="open",kind="deploy"} 2',
      'promptgate_label_moves_total{label="open",kind="rollback"} 1',
      'promptgate_label_moves_total{label="open",kind="sync"} 1',
      'promptgate_label_moves_total{label="production",kind="break_glass"} 1',
    ]);
    await gateway.close();
  });
});
