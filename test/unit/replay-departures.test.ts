// Where an execution cannot be had again exactly, the part of it is named, and why.
import { describe, expect, it } from 'vitest';
import { draftAdmission, prepareExecution } from '../../src/application/prepare-execution.ts';
import { getExecution } from '../../src/application/read-executions.ts';
import type { RegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import { planReplay, replayExecution } from '../../src/application/replay-execution.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import type { StoredExecution } from '../../src/domain/execution.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { settingsOf } from '../support/provider-calls.ts';
import { execution } from '../support/records.ts';

const actor = { name: 'key:ops', keyId: 'key_ops', scopes: ['admin'] } as const;
const source =
  '---\nname: greet\nversion: 1\nmodel: gpt-4o-mini\ninput:\n  schema: { name: string }\n---\nGreet {{name}}.\n';
const definition = parseDefinition(source, { path: 'greet.prompt' });
const snapshot = {
  resolve: () => ({ definition, version: { id: 1, name: 'greet', version: 1 } }),
  find: () => undefined,
} as unknown as RegistrySnapshot;
/** A provider that knows the model no more. */
const gone = {
  error: { message: 'The model does not exist.', type: 'invalid_request_error', code: 'model_not_found' },
};
const providers = createProviders([settingsOf('openai', 'http://127.0.0.1:9/v1')], {
  fetch: async () => Response.json(gone, { status: 404 }),
});
const deps = { snapshot, providers, rawCalls: 'refuse' as const };

const request = { actor, promptName: 'greet', version: 1, variables: { name: 'Ada' }, requestId: 'r' };
const { admission } = prepareExecution(deps, request, draftAdmission(request));
const stored = (changes: Partial<StoredExecution> = {}): StoredExecution => ({
  ...execution({ ...admission, provider: 'openai', model: 'gpt-4o-mini' }),
  createdAt: new Date(0),
  ...changes,
});
const plan = (row: StoredExecution, from: object = deps) =>
  planReplay({ ...deps, ...from }, row, { actor, requestId: 'r' });
const withVariables = (variables: JsonObject) => stored({ inputPayload: { variables } });

describe('an execution whose', () => {
  it('row is as it was departs in nothing', () => {
    expect(plan(stored()).departures).toEqual([]);
  });

  it('month was let go by retention is not found for that reason, and not for another', async () => {
    const audit = {
      findExecution: async () => undefined,
      findRetention: async () => new Date('2026-08-01T02:00:00Z'),
    };
    const find = (from: object) =>
      getExecution({ audit: { ...audit, ...from } } as never, actor, admission.id);
    const kept = await find({ findRetention: async () => undefined }).catch((error) => error);
    await expect(find({})).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining(
        'Retention let the executions of that month go on 2026-08-01: input and answer',
      ),
    });
    expect(kept).toMatchObject({ code: 'not_found', message: expect.stringContaining('may not see it') });
  });

  it('variables are others than were rendered says so, beside the messages', () => {
    const { departures } = plan(withVariables({ name: 'Eve' }));
    expect(departures.map(({ part }) => part)).toEqual(['variables', 'messages']);
  });

  it('variables were erased is no request with wrong variables: its row is told', () => {
    const erased = () => plan(withVariables({}));
    expect(erased).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(erased).toThrow(/they were erased or changed since, so it cannot be replayed/);
    // On what somebody names the variables are that one's to fit.
    const other = () =>
      planReplay(deps, withVariables({}), { actor, requestId: 'r', instead: { version: 1 } });
    expect(other).toThrow(expect.objectContaining({ code: 'invalid_variables' }));
  });

  it('file was changed departs in prompt and messages', () => {
    const changed = { source: source.replace('Greet', 'Say hello to'), partials: {} };
    const { departures } = planReplay(deps, stored(), {
      actor,
      requestId: 'r',
      instead: { definition: changed },
    });
    expect(departures.map(({ part }) => part)).toEqual(['prompt', 'messages']);
  });

  it('provider is configured no more says who answered', () => {
    const { departures } = plan(stored(), { providers: createProviders([]) });
    expect(departures).toEqual([{ part: 'provider', reason: 'openai answered, and now none is configured' }]);
  });

  it('model its provider has retired departs in the model, and its call is told as it failed', async () => {
    const rows = new Map([[admission.id, stored()]]);
    const trail = {
      writeIntent: async () => undefined,
      settle: async (row: StoredExecution) => void rows.set(row.id, row),
      leave() {},
    };
    const audit = { findExecution: async (id: string) => rows.get(id) };
    const all = {
      ...deps,
      trail,
      audit,
      costs: { findBackfilled: async () => undefined },
      defaultTimeoutMs: 5_000,
    };
    const replay = (instead = {}) =>
      replayExecution(all as never, { actor, executionId: admission.id, requestId: 'r', instead });
    const { execution: failed, departures } = await replay();
    expect(failed).toMatchObject({ status: 'failed', errorCode: 'provider_misconfigured' });
    expect(departures).toEqual([
      {
        part: 'model',
        reason: expect.stringMatching(/^gpt-4o-mini answered then, and now openai has no such model/),
      },
    ]);
    // Of a model that somebody names instead nobody said that it was there.
    expect((await replay({ model: 'gpt-9' })).departures).toEqual([
      { part: 'model', reason: 'gpt-9 instead of gpt-4o-mini' },
    ]);
  });
});
