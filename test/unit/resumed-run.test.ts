// A run that somebody goes on with: what another part of it has in flight, or died with, is never made again or passed over.
import { describe, expect, it } from 'vitest';
import type { AuditTrail, ClaimHolder, IdempotencyClaim } from '../../src/application/audit-trail.ts';
import { createCallRun, type RunLimits } from '../../src/application/call-run.ts';
import {
  awaitCallsInFlight,
  keepCalled,
  readRunRows,
  toEarlierCall,
} from '../../src/application/earlier-calls.ts';
import { executePrompt } from '../../src/application/execute-prompt.ts';
import { claimOf } from '../../src/application/idempotency.ts';
import { toUnknownExecution } from '../../src/application/recover-intents.ts';
import type { RegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import type { Actor } from '../../src/domain/api-key.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import type { Execution, Intent, StoredExecution } from '../../src/domain/execution.ts';
import { formatMoney } from '../../src/domain/money.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { settingsOf } from '../support/provider-calls.ts';
import { execution } from '../support/records.ts';

/** Of the one call. */
const bound = 5n;
const runId = '01890000-0000-7000-8000-000000000001';
const ci: Actor = { name: 'key:ci', keyId: 'key_ci', scopes: ['admin'] };
const operator: Actor = { name: 'key:operator', keyId: 'key_operator', scopes: ['admin'] };
const definition = parseDefinition(
  '---\nname: greet\nversion: 1\nmodel: gpt-4o-mini\ninput:\n  schema: { name: string }\n---\nGreet {{name}}.\n',
  { path: 'greet.prompt' },
);
const answer = JSON.stringify({
  id: 'c',
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
});

/** The audit trail of a database that two gateways share, a provider that answers when told, and time that waits make. */
function createWorld() {
  const claims = new Map<string, { executionId: string; fingerprint: string }>();
  const intents = new Map<string, Intent>();
  const rows = new Map<string, Execution>();
  let asked = 0;
  let at = 0;
  let onWait = () => {};
  const answered = Promise.withResolvers<void>();
  const keyOf = (claim?: IdempotencyClaim) => `${claim?.scope} ${claim?.key}`;
  const findHolder = (claim?: IdempotencyClaim): ClaimHolder | undefined => {
    const held = claims.get(keyOf(claim));
    return held && { ...held, status: rows.get(held.executionId)?.status ?? null };
  };
  const trail: AuditTrail = {
    findHolder: async (claim) => findHolder(claim),
    async writeIntent(intent, claim) {
      const key = keyOf(claim);
      const held = findHolder(claim);
      if (held) return held;
      if (claim) claims.set(key, { executionId: intent.id, fingerprint: claim.fingerprint });
      intents.set(intent.id, intent);
      return undefined;
    },
    async settle(settled) {
      rows.set(settled.id, settled);
      intents.delete(settled.id);
    },
    leave() {},
  };
  const audit = {
    findExecution: async (id: string) => rows.get(id) as StoredExecution | undefined,
    countCallsInFlight: async () => intents.size,
    listExecutions: async () => [...rows.values()].reverse() as StoredExecution[],
  };
  const providers = createProviders([settingsOf('openai', 'http://127.0.0.1:9/v1')], {
    async fetch() {
      asked++;
      await answered.promise;
      return new Response(answer, { headers: { 'content-type': 'application/json' } });
    },
  });
  const snapshot = {
    resolve: () => ({ definition, version: { id: 1, name: 'greet', version: 1 } }),
    find: () => undefined,
  } as unknown as RegistrySnapshot;
  const deps = { snapshot, trail, audit, providers, rawCalls: 'refuse' as const, defaultTimeoutMs: 60_000 };
  const clock = {
    now: () => at,
    async wait(ms: number) {
      at += ms;
      await new Promise<void>((done) => setImmediate(done));
      onWait();
    },
  };
  const limits: RunLimits = {
    ...{ runId, concurrency: 1, budget: null, callsPerMinute: null, deadline: null },
    ...{ retryUnanswered: false, signal: new AbortController().signal },
  };
  return {
    ...{ claims, intents, rows, trail, audit, clock },
    asked: () => asked,
    answer: answered.resolve,
    /** What happens whenever somebody has waited. */
    onWait(then: () => void) {
      onWait = then;
    },
    /** The one call of the run, asked by a part of it that this actor began. */
    async part(actor: Actor) {
      const run = createCallRun(
        { ...clock, audit, execute: (request) => executePrompt(deps, request) },
        limits,
        [],
      );
      const request = { actor, promptName: 'greet', version: 1, variables: { name: 'Ada' }, requestId: 'r' };
      const made = await run.make({ place: ['a'], before: [], bound: () => bound, request });
      return { made, spent: run.spent() };
    },
    /** A gateway that died with the call, and then recovery. */
    recover() {
      for (const intent of intents.values()) void trail.settle(toUnknownExecution(intent));
    },
  };
}

describe('a run that another key goes on with', () => {
  it('claims its calls for the run, whoever makes them; a call outside of one for its caller', () => {
    const request = { promptName: 'greet', variables: {}, requestId: 'r', idempotencyKey: 'k' };
    const scopeOf = (actor: Actor, more = {}) => claimOf({ ...request, actor, ...more })?.scope;
    expect(scopeOf(ci, { runId })).toBe(scopeOf(operator, { runId }));
    expect(new Set([scopeOf(ci, { runId }), scopeOf(ci), scopeOf(operator)]).size).toBe(3);
  });

  it('has the answer of a call that the first part has in flight, and pays for none', async () => {
    const world = createWorld();
    const first = world.part(ci);
    await expect.poll(() => world.asked()).toBe(1);
    let waits = 0;
    world.onWait(() => void (++waits === 3 && world.answer()));
    const second = world.part(operator);
    const [one, other] = await Promise.all([first, second]);
    expect(other.made).toMatchObject({ id: (one.made as Execution).id, status: 'succeeded' });
    expect([world.asked(), world.rows.size]).toEqual([1, 1]);
  });

  it('is told that a call is lost by the row of that call; its cost is not known, and no refusal stands beside it', async () => {
    const world = createWorld();
    void world.part(ci);
    await expect.poll(() => world.asked()).toBe(1);
    let waits = 0;
    world.onWait(() => void (++waits === 3 && world.recover()));
    const { made, spent } = await world.part(operator);
    expect(made).toMatchObject({ status: 'unknown', attempts: [{ number: 1 }] });
    expect(spent).toMatchObject({ cost: null, known: formatMoney(bound) });
    expect([...world.rows.values()].map(({ status }) => status)).toEqual(['unknown']);
    expect(world.asked()).toBe(1);
    world.answer();
  });
});

describe('what an earlier part has left', () => {
  const patience = { signal: new AbortController().signal };

  it('is read when nothing of it is in flight any more', async () => {
    const world = createWorld();
    void world.part(ci);
    await expect.poll(() => world.intents.size).toBe(1);
    const told: number[] = [];
    world.onWait(() => void (told.length === 4 && world.recover()));
    const onWait = (calls: number) => void told.push(calls);
    await awaitCallsInFlight({ ...world.clock, audit: world.audit }, runId, null, { ...patience, onWait });
    expect([told, world.intents.size]).toEqual([[1, 1, 1, 1], 0]);
    world.answer();
  });

  it('is waited for as long as recovery takes, and not longer: where its gateway lives, its claims hold', async () => {
    const world = createWorld();
    const audit = { ...world.audit, countCallsInFlight: async () => 3 };
    await awaitCallsInFlight({ ...world.clock, audit }, runId, null, patience);
    expect(world.clock.now()).toBe(30_000);
    await awaitCallsInFlight({ ...world.clock, audit }, runId, null, { signal: AbortSignal.abort() });
    expect(world.clock.now()).toBe(30_000);
  });

  it('is read a few rows at a time, and of each is kept what a run has to know: no input and no answer', async () => {
    const all = Array.from({ length: 60 }, (_, index) => ({
      ...execution({ id: String(index).padStart(2, '0'), status: index % 2 ? 'succeeded' : 'unknown' }),
      createdAt: new Date(0),
    })).reverse();
    let most = 0;
    const audit = {
      async listExecutions(_filter: unknown, { limit, before }: { limit: number; before?: string }) {
        most = Math.max(most, limit);
        return all.filter(({ id }) => before === undefined || id < before).slice(0, limit);
      },
    };
    const kept = keepCalled(await readRunRows(audit, runId, (row) => toEarlierCall(row, () => 7n)));
    expect(kept.map(({ id }) => id)).toEqual(all.map(({ id }) => id).reverse());
    expect(most).toBeLessThanOrEqual(25);
    expect(Object.keys(kept[0]!)).not.toEqual(expect.arrayContaining(['inputPayload']));
    expect(
      JSON.stringify(kept, (_, value) => (typeof value === 'bigint' ? Number(value) : value)),
    ).not.toContain('An answer with');
  });
});
