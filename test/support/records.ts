/** Records with every column filled, to be varied by a test. */
import { v7 } from 'uuid';
import type { DriftRun } from '../../src/application/drift-store.ts';
import type { NewReplayRun } from '../../src/application/replay-store.ts';
import type { DriftFinding } from '../../src/domain/drift.ts';
import type { NewEvaluation, NewEvaluationSuite } from '../../src/domain/evaluation.ts';
import type { Attempt, Execution, Intent } from '../../src/domain/execution.ts';
import type { NewPromptVersion } from '../../src/domain/prompt-version.ts';

const at = new Date('2026-11-20T10:00:00.123Z');

export function promptVersion(changes: Partial<NewPromptVersion> = {}): NewPromptVersion {
  return {
    name: 'summarize',
    version: 1,
    model: 'openai/gpt-4o-mini',
    parameters: { temperature: 0.2, maxOutputTokens: 800, stopSequences: ['END'] },
    messages: [
      { role: 'system', template: 'You are precise.' },
      { role: 'user', template: 'Summarize {{text}}' },
    ],
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    outputFormat: 'json',
    outputSchema: { type: 'object', properties: { z: { type: 'string' }, a: { type: 'string' } } },
    checksum: 'a'.repeat(64),
    description: 'Three sentences.',
    author: 'ada',
    source: '---\nname: summarize\n---\nSummarize {{text}}',
    partials: { tone: 'Be kind.' },
    path: 'summarize.prompt',
    gitCommit: 'c0ffee',
    gitMessage: 'Shorten the summary',
    metadata: { team: 'search', nested: { n: 1 } },
    tools: [{ name: 'look_up', description: null, inputSchema: { type: 'object', properties: {} } }],
    ...changes,
  };
}

export const attempt: Attempt = {
  number: 1,
  startedAt: at,
  latencyMs: 12.5,
  httpStatus: 503,
  errorCode: 'provider_unavailable',
  errorMessage: 'overloaded',
  providerRequestId: 'req_1',
  retryAfterMs: 250,
};

export function intent(changes: Partial<Intent> = {}): Intent {
  return {
    id: v7(),
    promptName: 'summarize',
    promptVersionId: 7,
    promptVersion: 1,
    label: 'production',
    inputPayload: {
      variables: { z: 'last first', a: [1, { b: null }] },
      messages: [{ role: 'user', content: 'hi' }],
    },
    parameters: { temperature: 0.2 },
    renderedHash: 'b'.repeat(64),
    variablesHash: 'c'.repeat(64),
    provider: 'openai',
    model: 'gpt-4o-mini',
    simulated: false,
    keyId: 'key_1',
    actor: 'key:ci',
    requestId: 'req_a',
    traceId: 'd'.repeat(32),
    idempotencyKey: 'once',
    replayOf: v7(),
    purpose: 'replay',
    runId: v7(),
    metadata: { tenant: 'acme' },
    startedAt: at,
    attempt: 2,
    earlierAttempts: [attempt],
    ...changes,
  };
}

export function execution(changes: Partial<Execution> = {}): Execution {
  const { attempt: _attempt, earlierAttempts, ...admission } = intent();
  return {
    ...admission,
    status: 'succeeded',
    errorCode: null,
    errorMessage: null,
    rawOutput: 'An answer with "quotes", ünicode 🙂 and\nlines.',
    toolCalls: [{ id: 'call_1', name: 'look_up', arguments: '{"z":1,"a":"ü"}' }],
    reasoning: [{ text: 'Hmm.', signature: 'proof' }],
    finishReason: 'stop',
    responseModel: 'gpt-4o-mini-2024-07-18',
    systemFingerprint: 'fp_1',
    serviceTier: 'default',
    providerRequestId: 'req_2',
    usageSource: 'provider',
    promptTokens: 120,
    completionTokens: 3_000_000_000,
    cachedTokens: 0,
    cacheWriteTokens: null,
    reasoningTokens: 5,
    price: {
      cost: '0.000123456789',
      currency: 'USD',
      source: 'genai-prices@0.1.8',
      unknownReason: null,
      unitPrices: { input_mtok: '0.15' },
      billed: null,
    },
    responseHash: 'e'.repeat(64),
    outputNormalised: false,
    latencyMs: 812.25,
    overheadMs: 1.125,
    delivery: {
      timeToFirstTokenMs: 210.5,
      deliveredBytes: 3_000_000_000,
      disconnectedAt: new Date('2026-11-20T10:00:00.923Z'),
    },
    attempts: [
      ...earlierAttempts,
      { ...attempt, number: 2, httpStatus: 200, errorCode: null, errorMessage: null },
    ],
    ...changes,
  };
}

export function evaluation(changes: Partial<NewEvaluation> = {}): NewEvaluation {
  return {
    runId: v7(),
    promptName: 'summarize',
    version: 1,
    versionChecksum: 'a'.repeat(64),
    suite: 'default',
    suiteChecksum: 'f'.repeat(64),
    judges: [],
    model: 'openai/gpt-4o-mini',
    simulated: false,
    rendererVersion: 1,
    repeats: 2,
    caseCount: 10,
    trialCount: 20,
    passedCount: 20,
    callCount: 20,
    lowerBound: 0.861,
    confidence: 0.95,
    score: 0.975,
    threshold: 0.95,
    baseline: null,
    verdict: 'passed',
    cases: [{ id: 'short', passed: true }],
    cost: '0.0123456789',
    currency: 'USD',
    actor: 'key:ci',
    startedAt: at,
    ...changes,
  };
}

export function evaluationSuite(changes: Partial<NewEvaluationSuite> = {}): NewEvaluationSuite {
  return {
    promptName: 'summarize',
    suite: 'default',
    checksum: 'f'.repeat(64),
    source: 'tests:\n  - vars: { text: long }\n',
    files: { 'cases.csv': 'text\nlong\n' },
    judges: [],
    path: 'summarize.eval.yaml',
    gitCommit: 'c0ffee',
    actor: 'key:ci',
    ...changes,
  };
}

export function replayRun(changes: Partial<NewReplayRun> = {}): NewReplayRun {
  return {
    runId: v7(),
    promptName: 'summarize',
    question: {
      from: { label: 'production' },
      instead: { version: 2 },
      to: 'staging',
      since: '2026-11-13T10:00:00.000Z',
      until: '2026-11-20T10:00:00.000Z',
      size: 2,
      seed: 'monday',
      stratify: ['outcome'],
    },
    executionIds: [v7(), v7()],
    population: 60,
    keyId: 'key_1',
    actor: 'key:ci',
    ...changes,
  };
}

export function driftRun(changes: Partial<DriftRun> = {}): DriftRun {
  return {
    id: v7(),
    actor: 'key:ci',
    dueAt: null,
    promptName: null,
    baselineSince: new Date('2026-11-12T10:00:00Z'),
    since: new Date('2026-11-19T10:00:00Z'),
    until: at,
    tests: 12,
    compared: [],
    ...changes,
  };
}

export function driftFinding(changes: Partial<DriftFinding> = {}): DriftFinding {
  return {
    ...{ promptName: 'summarize', promptVersion: 1, purpose: 'call', simulated: false },
    ...{ provider: 'openai', model: 'gpt-4o-mini', detector: 'distribution', measure: 'latency' },
    ...{ pValue: 0.00001, correctedP: 0.0004, effect: 0.42, baselineCount: 200, nowCount: 100 },
    ...{ before: 'median 312 ms', after: 'median 498 ms', evidence: { before: v7(), after: v7() } },
    ...changes,
  };
}
