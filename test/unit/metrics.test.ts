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
const rollups = { pending: 12, failures: 2 };
const create = () => createMetrics(() => ({ snapshotAgeMs: 1_500, audit, budgets, rollups }));

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

  it('time only what asked a provider: a flood of refusals makes no latency look better', async () => {
    const metrics = create();
    metrics.observe(execution({ latencyMs: 1_000 }));
    const refused = { status: 'refused', errorCode: 'rate_limited', attempts: [], latencyMs: 0.1 } as const;
    for (let call = 0; call < 50; call++) metrics.observe(execution(refused));
    for (const name of ['gen_ai_client_operation_duration_seconds', 'promptgate_overhead_seconds']) {
      expect(await linesOf(metrics, `${name}_count`)).toEqual([expect.stringMatching(/ 1$/)]);
    }
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

  it('of several workers are one: counts add up, of ages the highest is told, and what a dead one counted stays', async () => {
    const workers = [1_500, 9_000].map((snapshotAgeMs, index) =>
      createMetrics(() => ({
        snapshotAgeMs,
        audit: { ...audit, queued: 3, spooling: index === 1 },
        budgets,
        rollups,
      })),
    );
    for (const [index, metrics] of workers.entries()) {
      for (let call = 0; call <= index; call++) metrics.observe(execution({ latencyMs: 1_000 }));
    }
    const shares = await Promise.all(workers.map((metrics) => metrics.share()));
    const scrape = async (answers: unknown[], heirlooms: unknown[], replaced: number) =>
      (await workers[0]!.renderAll({ answers, heirlooms, wanted: 2, replaced })).body;
    const numberOf = (body: string, name: string) =>
      Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(body)?.[1]);
    const both = await scrape(
      shares.map(({ answer }) => answer),
      [],
      0,
    );
    expect(numberOf(both, 'promptgate_executions_total')).toBe(3);
    expect(numberOf(both, 'gen_ai_client_operation_duration_seconds_count')).toBe(3);
    expect(numberOf(both, 'promptgate_registry_snapshot_age_seconds')).toBe(9);
    expect(numberOf(both, 'promptgate_audit_queue_rows')).toBe(6);
    expect(numberOf(both, 'promptgate_audit_spooling')).toBe(1);
    // All workers tell of the same rows; what each tried in vain is its own.
    expect(numberOf(both, 'promptgate_rollups_pending_rows')).toBe(12);
    expect(numberOf(both, 'promptgate_rollups_failures_total')).toBe(4);
    expect(numberOf(both, 'promptgate_workers')).toBe(2);

    const one = await scrape([shares[0]!.answer], [shares[1]!.heirloom], 1);
    expect(numberOf(one, 'promptgate_executions_total')).toBe(3);
    expect(numberOf(one, 'promptgate_audit_queue_rows')).toBe(3);
    expect([numberOf(one, 'promptgate_workers'), numberOf(one, 'promptgate_workers_replaced_total')]).toEqual(
      [1, 1],
    );

    const successor = createMetrics(
      () => ({ snapshotAgeMs: 0, audit, budgets, rollups }),
      shares[1]!.heirloom,
    );
    successor.observe(execution({ latencyMs: 1_000 }));
    const next = await successor.share();
    expect(
      numberOf(await scrape([shares[0]!.answer, next.answer], [], 1), 'promptgate_executions_total'),
    ).toBe(4);
    // It dies as well: what it inherited goes on.
    expect(
      numberOf(await scrape([shares[0]!.answer], [next.heirloom], 2), 'promptgate_executions_total'),
    ).toBe(4);
  });

  it('that tell an age, or whether something is the case, are never added up', async () => {
    const values = (await create().share()).answer as { name: string; type: string; aggregator: string }[][];
    const ours = values.flat().filter(({ name }) => name.startsWith('promptgate_'));
    expect(ours.length).toBeGreaterThan(5);
    const states = ours.filter(({ name }) => /_age_|_spooling$|_ratio$|_pending_/.test(name));
    expect(states.map(({ aggregator }) => aggregator)).toEqual(states.map(() => 'max'));
  });
});
