import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type CallOptions, definition, startGateway, type TestGateway } from '../support/gateway.ts';

const source = (version: number, body = 'Greet {{name}}.', extra = '') =>
  definition('hello', version, 'gpt-4o-mini', body, extra);

describe.each(databases)('the registry over HTTP, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database);
    for (const changes of [{}, { config: { temperature: 0.4 } }, { version: 7 }]) {
      await add('parts', { definition: { ...parts, ...changes } });
    }
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });

  const admin = (method: string, path: string, body?: unknown) =>
    gateway.call(method, path, { key: gateway.keys.admin, ...(body === undefined ? {} : { body }) });
  const add = (name: string, body: unknown) => admin('POST', `/v1/prompts/${name}/versions`, body);

  it('takes a prompt from nothing to an answer, a second version, and back', async () => {
    const first = await add('hello', { source: source(1), git_commit: 'c0ffee', git_message: 'Say hello' });
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({
      ...{ prompt: 'hello', version: 1, created: true, source: source(1), path: null, archived: false },
      ...{ git_commit: 'c0ffee', git_message: 'Say hello', warnings: [] },
    });
    const label = '/v1/prompts/hello/labels/production';
    expect(
      (await admin('PUT', label, { version: 1, reason: 'first', git_commit: 'c0ffee' })).body,
    ).toMatchObject({
      moved: true,
      deployment: {
        from_version: null,
        to_version: 1,
        kind: 'deploy',
        reason: 'first',
        git_commit: 'c0ffee',
      },
    });
    const execute = async () => (await gateway.execute('hello', { variables: { name: 'Ada' } })).body.version;
    expect(await execute()).toBe(1);
    await add('hello', { source: source(2, 'Greet {{name}} warmly.') });
    expect((await admin('PUT', label, { version: 2, expected_version: 1 })).status).toBe(200);
    expect(await execute()).toBe(2);
    const back = await admin('POST', `${label}/rollback`, { expected_version: 2, reason: 'too warm' });
    expect(back.body.deployment).toMatchObject({
      kind: 'rollback',
      from_version: 2,
      to_version: 1,
      reason: 'too warm',
    });
    expect(await execute()).toBe(1);
    const history = await admin('GET', '/v1/prompts/hello/history?label=production');
    expect(history.body.data.map((move: { kind: string }) => move.kind)).toEqual([
      'rollback',
      'deploy',
      'deploy',
    ]);
    const page = await admin('GET', '/v1/prompts/hello/history?limit=1');
    const rest = await admin('GET', `/v1/prompts/hello/history?cursor=${page.body.next_cursor}`);
    expect([...page.body.data, ...rest.body.data]).toEqual(history.body.data);
    const [, second] = history.body.data;
    const then = await admin('GET', `/v1/labels?prompt=hello&at=${encodeURIComponent(second.created_at)}`);
    expect(then.body.data).toMatchObject([{ label: 'production', version: 2, deployment: second }]);
    const now = await admin('GET', '/v1/labels?prompt=hello');
    expect(now.body.data).toMatchObject([{ version: 1, deployment: { reason: 'too warm' } }]);
  });

  const parts = {
    model: 'gpt-4o-mini',
    config: { temperature: 0.2 },
    input: { schema: { name: 'string' } },
    messages: [
      { role: 'system', template: 'Be kind.' },
      { role: 'user', template: 'Greet {{name}}.' },
    ],
  };

  describe('a version', () => {
    it('in parts gets the next number; the same parts again are the same version', async () => {
      const first = await add('numbered', { definition: parts });
      expect([first.status, first.body.version, first.body.created]).toEqual([201, 1, true]);
      const again = await add('numbered', { definition: parts });
      expect([again.status, again.body.version, again.body.created]).toEqual([200, 1, false]);
      const next = await add('numbered', { definition: { ...parts, config: { temperature: 0.4 } } });
      expect([next.status, next.body.version]).toEqual([201, 2]);
      const same = await add('parts-2', {
        source: first.body.source.replace('name: numbered', 'name: parts-2'),
      });
      expect(same.body.checksum).toBe(first.body.checksum);
      const numbered = await add('numbered', { definition: { ...parts, version: 7 } });
      expect(numbered.body.version).toBe(7);
      const versions = await admin('GET', '/v1/prompts/numbered/versions');
      expect(versions.body.data.map((version: { version: number }) => version.version)).toEqual([7, 2, 1]);
    });

    it('takes its partials with it', async () => {
      const body = { source: definition('toned', 1, 'gpt-4o-mini', '{{> tone}} Greet {{name}}.') };
      expect((await add('toned', body)).status).toBe(400);
      const added = await add('toned', { ...body, partials: { tone: 'Be kind.' } });
      expect([added.status, added.body.partials]).toEqual([201, { tone: 'Be kind.' }]);
    });

    it('with errors is refused with all of them, each with line and column', async () => {
      const { status, body } = await add('hello', { source: source(9, '{{nobody}} {{#each}}') });
      expect([status, body.error.code]).toEqual([400, 'invalid_request']);
      expect(body.error.issues.length).toBeGreaterThan(0);
      for (const { path } of body.error.issues) expect(path).toMatch(/^hello\.prompt:\d+:\d+$/);
    });

    it.each([
      ['of another prompt', 'other', { source: source(1) }, 400],
      ['of a name outside the grammar', 'Not%20A%20Name', { source: source(1) }, 400],
      ['without a definition', 'hello', {}, 400],
      ['with two definitions', 'hello', { source: source(9), definition: parts }, 400],
      [
        'whose number has other content',
        'parts',
        { definition: { ...parts, model: 'gpt-4o', version: 1 } },
        409,
      ],
      ['whose number is below the newest', 'parts', { definition: { ...parts, version: 4 } }, 409],
    ])('%s is refused', async (_, name, body, status) => {
      expect((await add(name, body)).status).toBe(status);
    });

    it('with an older number is taken when the backfill is meant', async () => {
      const body = { definition: { ...parts, version: 5 }, allow_backfill: true };
      expect((await add('parts', body)).status).toBe(201);
    });

    it('is read by its number and by a label, with its source', async () => {
      const byNumber = await admin('GET', '/v1/prompts/greet/versions/1');
      const byLabel = await admin('GET', '/v1/prompts/greet/versions/production');
      expect(byNumber.body.source).toContain('Greet {{name}}.');
      expect(byLabel.body).toEqual(byNumber.body);
      for (const target of ['99', 'nowhere']) {
        expect((await admin('GET', `/v1/prompts/greet/versions/${target}`)).status).toBe(404);
      }
      expect((await admin('GET', '/v1/prompts/greet/versions/0')).status).toBe(400);
    });

    it('is compared with another: text by word, parameters, contract', async () => {
      const { body } = await admin('GET', '/v1/prompts/parts/diff?from=1&to=2');
      expect(body).toMatchObject({
        ...{ from: { version: 1 }, to: { version: 2 }, identical: false, breaking: false, contract: [] },
        parameters: [{ name: 'config.temperature', before: 0.2, after: 0.4 }],
      });
      expect((await admin('GET', '/v1/prompts/parts/diff?from=1')).status).toBe(400);
      expect((await admin('GET', '/v1/prompts/parts/diff?from=1&to=nowhere')).status).toBe(404);
    });
  });

  describe('a move that breaks the contract', () => {
    const label = '/v1/prompts/breaker/labels/production';
    const breaker = (version: number, schema: string, body: string) =>
      `---\nname: breaker\nversion: ${version}\nmodel: gpt-4o-mini\ninput: { schema: ${schema} }\n---\n${body}\n`;

    it('is refused with each break, done when it is meant, and no question for a rollback: what ran, ran', async () => {
      await add('breaker', { source: breaker(1, '{ name: string }', '{{name}}') });
      await add('breaker', { source: breaker(2, '{ name: string, city: string }', '{{name}} {{city}}') });
      expect((await admin('PUT', label, { version: 1 })).status).toBe(200);
      const refused = await admin('PUT', label, { version: 2 });
      expect([refused.status, refused.body.error.code]).toEqual([409, 'conflict']);
      expect(refused.body.error.issues).toMatchObject([{ path: 'input.city' }]);
      expect((await admin('PUT', label, { version: 2, breaking: true })).body.moved).toBe(true);
      await add('breaker', { source: breaker(3, '{ name: string }', 'Hi {{name}}') });
      await admin('PUT', label, { version: 3, breaking: true });
      expect((await admin('POST', `${label}/rollback`, {})).body.deployment).toMatchObject({ to_version: 2 });
    });
  });

  it('archives a version and a prompt, and takes them out again', async () => {
    const archive = (body: unknown) => admin('POST', '/v1/prompts/parts/archive', body);
    const deploy = async () =>
      (await admin('PUT', '/v1/prompts/parts/labels/staging', { version: 2 })).status;
    expect((await archive({ version: 2, reason: 'wrong tone' })).body).toMatchObject({
      changed: true,
      archive: { prompt: 'parts', version: 2, archived: true, reason: 'wrong tone' },
    });
    expect((await archive({ version: 2 })).body).toEqual({ changed: false, archive: null });
    expect((await admin('GET', '/v1/prompts/parts/versions/2')).body.archived).toBe(true);
    expect(await deploy()).toBe(409);
    await archive({ version: 2, archived: false });
    await archive({});
    expect((await admin('GET', '/v1/prompts/parts')).body.archived).toBe(true);
    expect(await deploy()).toBe(409);
    await archive({ archived: false });
    expect(await deploy()).toBe(200);
    expect((await archive({ version: 99 })).status).toBe(404);
  });

  it('gates a label, shows it, and keeps who did it and why', async () => {
    const gate = '/v1/labels/guarded/gate';
    expect((await admin('GET', gate)).body).toMatchObject({
      gated: false,
      movers: null,
      data: [],
      labels: [],
    });
    expect((await admin('PUT', gate, { gated: true, reason: 'SOX' })).body.changed).toBe(true);
    expect((await admin('PUT', gate, { gated: true })).body).toEqual({ changed: false, policy: null });
    expect((await admin('GET', gate)).body).toMatchObject({
      gated: true,
      data: [{ gated: true, reason: 'SOX' }],
    });
    const refused = await admin('PUT', '/v1/prompts/greet/labels/guarded', { version: 1 });
    expect([refused.status, refused.body.error.message]).toEqual([409, expect.stringContaining('gated')]);
  });

  it('lets only the keys that its policy names move a label: not an admin, not raw SQL', async () => {
    const gate = '/v1/labels/reserved/gate';
    const create = async (name: string) =>
      (await admin('POST', '/v1/keys', { name, scopes: ['deploy'] })).body.secret as string;
    const [mover, other] = [await create('release-bot'), await create('intern')];
    const move = (key: string) =>
      gateway.call('PUT', '/v1/prompts/greet/labels/reserved', { key, body: { version: 1 } });
    expect((await admin('PUT', gate, { keys: ['release-bot'] })).body.changed).toBe(true);
    for (const key of [other, gateway.keys.admin]) {
      const refused = await move(key);
      expect([refused.status, refused.body.error.code]).toEqual([403, 'forbidden']);
      expect(refused.body.error.message).toContain('gate show reserved');
    }
    await expect(
      gateway.query(`insert into prompt_deployments (prompt_name, label, kind, to_version, actor)
        values ('greet', 'reserved', 'deploy', 1, 'key:intern')`),
    ).rejects.toThrow(/not_a_mover/);
    expect((await move(mover)).status).toBe(200);
    // A change of the gate alone leaves the movers as they are, and the other way round.
    await admin('PUT', gate, { gated: true });
    expect((await admin('GET', gate)).body).toMatchObject({ gated: true, movers: ['key:release-bot'] });
    await admin('PUT', gate, { gated: false, keys: null });
    expect((await admin('GET', gate)).body).toMatchObject({ gated: false, movers: null });
  });

  it('says in /openapi.json which scope each route needs', async () => {
    const { body } = await gateway.call('GET', '/openapi.json', { key: null });
    const described = (path: string, method: string) => body.paths[path][method].description;
    expect(described('/v1/prompts/{name}/versions', 'post')).toContain('`publish`');
    expect(described('/v1/prompts/{name}/labels/{label}', 'put')).toContain('`deploy`');
    expect(described('/v1/prompts/{name}/labels/{label}/rollback', 'post')).toContain('`deploy`');
    expect(described('/v1/labels/{label}/gate', 'put')).toContain('`admin`');
  });

  describe('a key', () => {
    const keys: Record<string, string> = {};
    const reach: Record<string, object> = {
      execute: { scopes: ['execute'] },
      publish: { scopes: ['publish'] },
      deploy: { scopes: ['deploy'] },
      admin: { scopes: ['admin'] },
      'greet*': { scopes: ['execute', 'publish', 'deploy'], prompts: ['greet*', 'hele*o'] },
      staging: { scopes: ['execute', 'publish', 'deploy'], labels: ['staging'] },
      both: { scopes: ['execute', 'deploy'], prompts: ['greet'], labels: ['staging'] },
    };

    beforeAll(async () => {
      for (const [name, body] of Object.entries(reach)) {
        const created = await admin('POST', '/v1/keys', { name: `matrix-${name.replace('*', '')}`, ...body });
        keys[name] = created.body.secret;
      }
      await admin('PUT', '/v1/prompts/greet/labels/staging', { version: 1 });
      await admin('PUT', '/v1/prompts/chat/labels/staging', { version: 1 });
      await add('heleno', { definition: parts });
    });

    const run = (name: string, body: object) => ({
      ...{ method: 'POST', path: `/v1/prompts/${name}/executions` },
      body: { variables: { name: 'Ada' }, ...body },
    });
    const point = (name: string, label: string) => ({
      ...{ method: 'PUT', path: `/v1/prompts/${name}/labels/${label}`, body: { version: 1 } },
    });
    const actions: Record<string, { method: string; path: string; body: unknown }> = {
      'run greet': run('greet', {}),
      'run greet staging': run('greet', { label: 'staging' }),
      'run greet v1': run('greet', { version: 1 }),
      'run chat': run('chat', {}),
      'run chat staging': run('chat', { label: 'staging' }),
      'deploy greet staging': point('greet', 'staging'),
      'deploy greet production': point('greet', 'production'),
      'deploy chat staging': point('chat', 'staging'),
      'roll back greet production': {
        ...{ method: 'POST', path: '/v1/prompts/greet/labels/production/rollback', body: {} },
      },
      'publish heleno': { method: 'POST', path: '/v1/prompts/heleno/versions', body: { definition: parts } },
      'publish chat': {
        ...{ method: 'POST', path: '/v1/prompts/chat/versions' },
        body: { source: definition('chat', 8, 'gpt-4o-mini', 'Greet {{name}}.') },
      },
      'archive greet': { method: 'POST', path: '/v1/prompts/greet/archive', body: { archived: false } },
      'gate a label': { method: 'PUT', path: '/v1/labels/open/gate', body: { gated: false } },
      'list keys': { method: 'GET', path: '/v1/keys', body: undefined },
    };
    /** Who may; 409 is the answer to whoever may, where nothing is there to do. */
    const allowed: Record<string, string[]> = {
      'run greet': ['execute', 'admin', 'greet*'],
      'run greet staging': ['execute', 'admin', 'greet*', 'staging', 'both'],
      'run greet v1': ['execute', 'admin', 'greet*'],
      'run chat': ['execute', 'admin'],
      'run chat staging': ['execute', 'admin', 'staging'],
      'deploy greet staging': ['deploy', 'admin', 'greet*', 'staging', 'both'],
      'deploy greet production': ['deploy', 'admin', 'greet*'],
      'deploy chat staging': ['deploy', 'admin', 'staging'],
      'roll back greet production': ['deploy', 'admin', 'greet*'],
      'publish heleno': ['publish', 'admin', 'greet*', 'staging'],
      'publish chat': ['publish', 'admin', 'staging'],
      'archive greet': ['deploy', 'admin', 'greet*'],
      'gate a label': ['admin'],
      'list keys': ['admin'],
    };
    const cells = Object.keys(actions).flatMap((action) =>
      Object.keys(reach).map((key) => [key, action, allowed[action]?.includes(key) ?? false] as const),
    );

    it.each(cells)('%s, to %s: %s', async (key, action, may) => {
      const { method, path, body } = actions[action] as (typeof actions)[string];
      const options: CallOptions = { key: keys[key] ?? '', ...(body === undefined ? {} : { body }) };
      const before = await gateway.providerRequests();
      const answer = await gateway.call(method, path, options);
      if (may) return expect([200, 201, 409]).toContain(answer.status);
      expect([answer.status, answer.body.error.code]).toEqual([403, 'forbidden']);
      if (!path.endsWith('/executions')) return;
      expect(await gateway.providerRequests()).toBe(before);
      const [row] = await gateway.query(
        `select status, error_code from ai_executions where id = '${answer.body.error.execution_id}'`,
      );
      expect(row).toEqual({ status: 'refused', error_code: 'forbidden' });
    });

    it('that is limited sees of the registry what it may use', async () => {
      const names = async (key: string) =>
        (await gateway.call('GET', '/v1/prompts', { key: keys[key] ?? '' })).body.data.map(
          (prompt: { name: string }) => prompt.name,
        );
      expect(await names('greet*')).toEqual(['greet', 'heleno']);
      expect(await names('both')).toEqual(['greet']);
      const labels = (await gateway.call('GET', '/v1/labels', { key: keys.both ?? '' })).body.data;
      expect(labels).toMatchObject([{ prompt: 'greet', label: 'staging' }]);
      const prompt = (await gateway.call('GET', '/v1/prompts/greet', { key: keys.both ?? '' })).body;
      expect(prompt.labels).toEqual({ staging: 1 });
      const history = (await gateway.call('GET', '/v1/prompts/greet/history', { key: keys.both ?? '' })).body
        .data;
      expect(new Set(history.map((move: { label: string }) => move.label))).toEqual(new Set(['staging']));
      for (const path of [
        ...['/v1/prompts/chat', '/v1/prompts/chat/versions', '/v1/prompts/chat/history'],
        ...['/v1/labels?prompt=chat', '/v1/labels/production/gate'],
      ]) {
        expect((await gateway.call('GET', path, { key: keys.both ?? '' })).status).toBe(404);
      }
      for (const path of ['versions/1', 'versions/production', 'diff?from=1&to=1']) {
        const chat = await gateway.call('GET', `/v1/prompts/chat/${path}`, { key: keys.both ?? '' });
        expect(chat.status).toBe(403);
      }
      expect(
        (await gateway.call('GET', '/v1/prompts/greet/versions/1', { key: keys.both ?? '' })).status,
      ).toBe(200);
    });

    it('that is limited cannot be an admin, who could make one that is not', async () => {
      for (const limit of [{ prompts: ['*'] }, { labels: ['staging'] }]) {
        const answer = await admin('POST', '/v1/keys', { name: 'sly', scopes: ['admin'], ...limit });
        expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request']);
      }
      expect((await admin('POST', '/v1/keys', { name: 'sly', prompts: ['Not A Glob'] })).status).toBe(400);
    });

    it('that is limited syncs only what it may', async () => {
      const files = ['greet', 'chat'].map((name) => ({
        path: `${name}.prompt`,
        source: definition(name, 9, 'gpt-4o-mini', 'Greet {{name}}.'),
      }));
      const { body } = await gateway.call('POST', '/v1/sync', { key: keys['greet*'] ?? '', body: { files } });
      expect(
        Object.fromEntries(
          body.files.map((file: { name: string; outcome: string }) => [file.name, file.outcome]),
        ),
      ).toEqual({ greet: 'synced', chat: 'failed' });
    });
  });
});
