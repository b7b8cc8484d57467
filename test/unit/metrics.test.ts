import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { attempt, execution } from '../support/records.ts';

const audit = { queued: 0, open: 0, dropped: 0, recovered: 0, spooling: false, spoolBytes: 0 };
const budgets = [0.25, 1.5].map((ratio, index) => ({
  budget: {
    scope: 'prompt' as const,
    subject: `prompt-${index}`,
    measure: 'cost' as const,
    period: 'day' as const,
    currency: 'USD',
    refuseAt: '10',
    warnAt: null,
  },
  ratio,
}));
const create = () => createMetrics(() => ({ snapshotAgeMs: 1_500, audit, budgets }));

async function linesOf(metrics: ReturnType<typeof create>, name: string): Promise<string[]> {
  const { body } = await metrics.render();
  return body.split('\n').filter((line) => line.startsWith(name));
}

describe('metrics', () => {
  it('stay bounded under 100,000 hostile prompt names, known to the registry or not', async () => {
    const metrics = create();
    for (let index = 0; index < 100_000; index++) {
      const known = index % 2 === 0;
      metrics.observe(
        execution({
          promptName: `${known ? 'prompt' : '"}\n#'}-${index}`,
          promptVersionId: known ? index : null,
          model: `model-${index}`,
          attempts: known ? [attempt] : [],
        }),
      );
    }
    const { body } = await metrics.render();
    expect(body.length).toBeLessThan(3_000_000);
    const prompts = await linesOf(metrics, 'promptgate_cost_total{');
    expect(prompts.length).toBeLessThanOrEqual(1_001);
    expect(prompts.some((line) => line.includes('prompt="_other"'))).toBe(true);
    expect(body).not.toContain('#-');
  });

  it('count an execution under the names of the GenAI conventions', async () => {
    const metrics = create();
    metrics.observe(execution({ promptTokens: 120, completionTokens: 30, latencyMs: 1_000 }));
    const { body } = await metrics.render();
    const about =
      'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o-mini"';
    expect(body).toContain(`gen_ai_client_operation_duration_seconds_sum{${about},error_type=""} 1\n`);
    expect(body).toContain(`gen_ai_client_token_usage_sum{${about},gen_ai_token_type="input"} 120\n`);
    expect(body).toContain(`gen_ai_client_token_usage_sum{${about},gen_ai_token_type="output"} 30\n`);
    expect(body).toContain(`gen_ai_client_operation_time_to_first_chunk_seconds_count{${about}} 1\n`);
  });

  it('tell how far each budget is used', async () => {
    const of = (subject: string) =>
      `promptgate_budget_used_ratio{scope="prompt",subject="${subject}",measure="cost",period="day",currency="USD"}`;
    expect(await linesOf(create(), 'promptgate_budget')).toEqual([
      `${of('prompt-0')} 0.25`,
      `${of('prompt-1')} 1.5`,
    ]);
  });

  it('tell retries by what had failed, and attempts apart from them', async () => {
    const metrics = create();
    metrics.observe(execution({ attempts: [attempt, { ...attempt, number: 2, errorCode: null }] }));
    expect(await linesOf(metrics, 'promptgate_attempts_total{')).toEqual([
      'promptgate_attempts_total{provider="openai"} 2',
    ]);
    expect(await linesOf(metrics, 'promptgate_retries_total{')).toEqual([
      'promptgate_retries_total{provider="openai",error_code="provider_unavailable"} 1',
    ]);
  });

  it('count a refusal without a model, and an unknown cost not at all', async () => {
    const metrics = create();
    const price = { ...execution().price, cost: null, unknownReason: 'no price' };
    metrics.observe(execution({ price }));
    metrics.observe(
      execution({
        status: 'refused',
        errorCode: 'invalid_variables',
        provider: null,
        model: null,
        attempts: [],
      }),
    );
    expect(await linesOf(metrics, 'promptgate_cost_total{')).toEqual([]);
    expect(await linesOf(metrics, 'promptgate_executions_total{')).toContain(
      'promptgate_executions_total{prompt="summarize",purpose="replay",status="refused",error_code="invalid_variables",provider="",model=""} 1',
    );
  });
});
