import { describe, expect, test } from 'vitest';
import type { AuditTrail } from '../../src/application/audit-trail.ts';
import { executePrompt } from '../../src/application/execute-prompt.ts';
import type { RegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import type { Execution } from '../../src/domain/execution.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { settingsOf } from '../support/provider-calls.ts';

const definition = parseDefinition(
  '---\nname: greet\nversion: 1\nmodel: gpt-4o-mini\ninput:\n  schema: { name: string }\n---\nGreet {{name}}.\n',
  { path: 'greet.prompt' },
);
const answer = {
  id: 'chatcmpl-1',
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { content: 'Hello.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 2 },
};
const written: AuditTrail = {
  writeIntent: async () => undefined,
  findHolder: async () => undefined,
  settle: async () => {},
  leave() {},
};
const away = async () => {
  throw new Error('the database is away');
};
const shed = async () => {
  throw new PromptgateError('audit_unavailable', 'Too many calls wait.', { retryAfterMs: 1_000 });
};

/** @returns what the caller heard, how often the provider was asked, and what telemetry heard */
async function callOn(trail: Partial<AuditTrail>, variables: Record<string, string> = { name: 'Ada' }) {
  let asked = 0;
  const heard: Execution[] = [];
  const providers = createProviders([settingsOf('openai', 'http://127.0.0.1:9/v1')], {
    fetch: async () => {
      asked++;
      return Response.json(answer);
    },
  });
  const call = executePrompt(
    {
      snapshot: {
        resolve: () => ({ definition, version: { id: 1, name: 'greet', version: 1 } }),
      } as unknown as RegistrySnapshot,
      trail: { ...written, ...trail },
      providers,
      audit: { findExecution: async () => undefined },
      rawCalls: 'refuse',
      defaultTimeoutMs: 5_000,
      onExecution: (execution) => heard.push(execution),
    },
    {
      actor: { name: 'app', keyId: null, scopes: ['execute'] },
      promptName: 'greet',
      variables,
      requestId: 'req_1',
    },
  );
  const error = await call.then(
    () => null,
    (thrown) => thrown.code,
  );
  await providers.close();
  return { error, asked, heard };
}

describe('a call that cannot be recorded is told of all the same, once, as its caller heard of it', () => {
  test.each([
    ['its intent fails', { writeIntent: away, settle: away }, 0],
    ['its intent fails, and its outcome is written later', { writeIntent: away }, 0],
    ['it is shed', { writeIntent: shed, settle: shed }, 0],
    ['its outcome fails', { settle: away }, 1],
  ])('%s', async (_, trail, requests) => {
    const { error, asked, heard } = await callOn(trail);
    expect(error).toBe('audit_unavailable');
    expect(asked).toBe(requests);
    expect(heard).toMatchObject([
      {
        promptName: 'greet',
        status: 'failed',
        errorCode: 'audit_unavailable',
        attempts: { length: requests },
      },
    ]);
    // What was spent is spent, recorded or not.
    expect(heard[0]?.promptTokens).toBe(requests === 0 ? null : 10);
  });

  test('its refusal fails', async () => {
    const { error, asked, heard } = await callOn({ settle: away }, {});
    expect([error, asked]).toEqual(['audit_unavailable', 0]);
    expect(heard).toMatchObject([{ status: 'failed', errorCode: 'audit_unavailable', attempts: [] }]);
  });

  test('and one that is recorded is told of as its row', async () => {
    expect(await callOn({})).toMatchObject({
      error: null,
      heard: [{ status: 'succeeded', errorCode: null }],
    });
    expect(await callOn({}, {})).toMatchObject({
      error: 'invalid_variables',
      heard: [{ status: 'refused', errorCode: 'invalid_variables' }],
    });
  });
});
