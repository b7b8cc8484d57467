import { describe, expect, test } from 'vitest';
import { toAnswered, toFailed } from '../../src/application/execution-outcome.ts';
import type { ProviderResult } from '../../src/application/provider.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';
import { intent } from '../support/records.ts';

const usage = { prompt_tokens: 1000, completion_tokens: 10 };
const model = 'gpt-4o-mini-2024-07-18';
const answer = { model, choices: [{ finish_reason: 'stop', message: { content: 'hi' } }], usage };
/** Some routers report a failure of the model behind them so, with what it used up. */
const failure = { model, error: { code: 503, message: 'overloaded' }, usage };
const clock = { read: () => ({ latencyMs: 1, overheadMs: 1 }) } as never;
const route = { provider: 'openai', model: 'gpt-4o-mini', simulated: false };

async function call(...bodies: (object | string)[]): Promise<ProviderResult> {
  const providers = createProviders([settingsOf('openai', 'http://127.0.0.1:9/v1')], {
    ...noWaits,
    fetch: async () => {
      const body = bodies.shift();
      if (typeof body === 'string')
        return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
      return Response.json(body);
    },
  });
  const request = callOf('openai', 'gpt-4o-mini');
  if (typeof bodies[0] === 'string') return providers.stream(request, { ...controlOf(), onDelta() {} });
  return providers.call(request, controlOf());
}

function outcome(result: ProviderResult) {
  return result.ok
    ? toAnswered(intent(), route, result, undefined, clock)
    : toFailed(intent(), route, result, clock);
}

describe('what a failed attempt was billed is paid for', () => {
  test('an answer after a billed failure costs both', async () => {
    const result = await call(failure, answer);
    expect(result.attempts.map(({ errorCode }) => errorCode)).toEqual(['provider_unavailable', null]);
    // 2 × (1000 × 0.15 + 10 × 0.6) per million
    expect(outcome(result)).toMatchObject({
      status: 'succeeded',
      promptTokens: 2000,
      completionTokens: 20,
      price: { cost: '0.000312' },
    });
  });

  test('an answer that proves nothing is a failure that costs what it cost', async () => {
    const result = await call({ ...answer, choices: [{ message: { content: 'hi' } }] });
    expect(outcome(result)).toMatchObject({
      status: 'failed',
      errorCode: 'provider_protocol_error',
      usageSource: 'provider',
      responseModel: model,
      promptTokens: 1000,
      price: { cost: '0.000156' },
    });
  });

  test('a stream that breaks after its last counts is billed; one that breaks before is not known to be', async () => {
    const delta = `data: ${JSON.stringify({ model, choices: [{ index: 0, delta: { content: 'hi' } }] })}\n\n`;
    const last = `data: ${JSON.stringify({ model, choices: [], usage })}\n\n`;
    expect(outcome(await call(delta + last))).toMatchObject({
      status: 'failed',
      price: { cost: '0.000156' },
    });
    expect(outcome(await call(delta))).toMatchObject({
      status: 'failed',
      promptTokens: null,
      price: { cost: null, unknownReason: 'the provider reported no usage' },
    });
  });
});
