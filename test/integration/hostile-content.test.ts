/** What a provider sends is foreign down to its ids: whatever it is, the outcome is a row and the hash is the original's. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { executePrompt } from '../../src/application/execute-prompt.ts';
import type { ProviderAnswer, ProviderResult, Providers } from '../../src/application/provider.ts';
import { toUnknownExecution } from '../../src/application/recover-intents.ts';
import { createRegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import { syncPrompts } from '../../src/application/sync-prompts.ts';
import { sha256 } from '../../src/domain/canonical-json.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import { noUsage } from '../../src/domain/usage.ts';
import type { OpenAuditTrail } from '../../src/store/open-audit-trail.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definitions, systemActor } from '../support/gateway.ts';

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\0', '\ud800', '\udfff', 'a', '"', '\\', '\u2028', '🙂') }),
);

describe.each(databases)('hostile content on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  let trail: OpenAuditTrail;
  let execute: (result: ProviderResult, variables?: object) => ReturnType<typeof executePrompt>;

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    trail = await store.openAuditTrail({
      ...{ timeoutMs: 5_000, settleTimeoutMs: 5_000, maxOpen: 100, maxOpenBytes: 1e9 },
      toUnknown: toUnknownExecution,
      onRecovered() {},
    });
    const snapshot = createRegistrySnapshot(store.registry);
    await snapshot.start();
    const source = definitions['greet.prompt'];
    const sync = { files: [{ path: 'greet.prompt', source }], actor: systemActor, seed: 'production' };
    const providers = (result: ProviderResult): Providers => ({
      route: (model) => ({ provider: 'openai', model, simulated: false }),
      provider: () => undefined,
      problemsOf: () => [],
      stream: () => {
        throw new Error('not streamed here');
      },
      async call(_call, control) {
        await control.beforeAttempt(1, []);
        return result;
      },
    });
    await syncPrompts(
      { registry: store.registry, snapshot, providers: providers({} as ProviderResult) } as never,
      sync as never,
    );
    execute = (result, variables = { name: 'Ada' }) =>
      executePrompt(
        {
          ...{ snapshot, trail, audit: store.audit, providers: providers(result) },
          ...{ rawCalls: 'refuse', defaultTimeoutMs: 1_000 },
        },
        {
          ...{ actor: systemActor, promptName: 'greet', requestId: 'r' },
          variables: variables as never,
        },
      );
  });
  afterAll(async () => {
    await trail.close();
    await store.close();
    await database.drop();
  });

  const attemptOf = (text: string, failed: boolean) => ({
    ...{ number: 1, startedAt: new Date(), latencyMs: 1, httpStatus: failed ? 400 : 200 },
    ...{ errorCode: failed ? ('provider_rejected' as const) : null, errorMessage: failed ? text : null },
    ...{ providerRequestId: text, retryAfterMs: null },
  });
  const answerOf = (output: string, text: string): ProviderAnswer => ({
    ...{ output, toolCalls: [], reasoning: [], finishReason: 'stop', usage: noUsage, rawUsage: null },
    ...{ responseModel: text, systemFingerprint: text, serviceTier: text, providerRequestId: text },
    responseId: text,
  });

  it('in an answer, its ids and its attempts is recorded, flagged and hashed as it came', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, hostile, async (output, text) => {
        const { id } = await execute({
          ok: true,
          answer: answerOf(output, text),
          attempts: [attemptOf(text, false)],
        });
        const row = await store.audit.findExecution(id);
        expect(row?.responseHash).toBe(sha256(output));
        expect(row?.outputNormalised).toBe(row?.rawOutput !== output);
      }),
      { numRuns: 60 },
    );
  });

  it('in a tool call is recorded', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, hostile, async (said, text) => {
        const toolCalls = [{ id: text, name: text, arguments: said }];
        const answer = { ...answerOf('', ''), toolCalls };
        const { id } = await execute({ ok: true, answer, attempts: [attemptOf('', false)] });
        expect((await store.audit.findExecution(id))?.toolCalls).toHaveLength(1);
      }),
      { numRuns: 30 },
    );
  });

  it('in a failure is recorded', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        const error = new PromptgateError('provider_rejected', text);
        const thrown = await execute({ ok: false, error, attempts: [attemptOf(text, true)] }).catch((e) => e);
        expect((await store.audit.findExecution(thrown.executionId))?.status).toBe('failed');
      }),
      { numRuns: 40 },
    );
  });

  it('that breaks the gateway on its way leaves an unknown outcome, and no intent', async () => {
    const broken = { ok: true, answer: {}, attempts: [attemptOf('r', false)] } as unknown as ProviderResult;
    const before = new Date();
    await expect(execute(broken)).rejects.toThrow();
    expect(trail.health().open).toBe(0);
    await trail.keep();
    const [left] = await store.audit.listExecutions({ since: before, status: 'unknown' }, { limit: 2 });
    expect(left?.attempts).toHaveLength(1);
  });

  it('of 20 MB is recorded whole', async () => {
    const output = 'ü\\"x'.repeat(4_000_000);
    const { id } = await execute({
      ok: true,
      answer: answerOf(output, 'm'),
      attempts: [attemptOf('r', false)],
    });
    expect((await store.audit.findExecution(id))?.rawOutput).toBe(output);
  });
});
