/** Which share of traffic and cost is governed, by key. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { Coverage } from '../domain/coverage.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readQuery } from './route.ts';

const querySchema = z.strictObject({
  since: z.iso
    .datetime({ offset: true })
    .optional()
    .openapi({ description: 'Default: 7 days before the end.' }),
  until: z.iso.datetime({ offset: true }).optional().openapi({ description: 'Default: now.' }),
});

const trafficSchema = z.object({
  calls: z.number().int().openapi({ description: 'Admitted, whatever became of them.' }),
  costs: z
    .record(z.string(), z.string())
    .openapi({ description: 'Exact decimals by currency, of the calls whose cost is known.' }),
  unknown_costs: z.number().int().openapi({ description: 'Calls whose cost is not known.' }),
});

const share = z.number().min(0).max(1);

const coverageSchema = z
  .object({
    governed: trafficSchema,
    raw: trafficSchema,
    raw_refused: z.number().int().openapi({ description: 'Raw calls that were refused.' }),
    simulated: z
      .number()
      .int()
      .openapi({ description: 'Calls that the simulated provider answered; in no other number.' }),
    call_share: share.nullable().openapi({ description: 'Governed calls of all; null: there were none.' }),
    cost_shares: z
      .record(z.string(), share)
      .openapi({ description: 'Governed cost of all that is known, by currency.' }),
  })
  .openapi('Coverage');

const reportSchema = z
  .object({
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    total: coverageSchema,
    data: z.array(coverageSchema.extend({ key_id: z.string().nullable(), actor: z.string() })),
  })
  .openapi('CoverageReport');

export function addCoverageRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/coverage',
      summary: 'Which share of calls and cost names a prompt, by key; without `admin`, of this key',
      tag: 'executions',
      scope: 'execute',
      query: querySchema,
      response: reportSchema,
    },
    async (c) => {
      const query = readQuery(c, querySchema);
      const { since, until, total, keys } = await gateway.readCoverage(c.get('actor'), {
        since: query.since === undefined ? undefined : new Date(query.since),
        until: query.until === undefined ? undefined : new Date(query.until),
      });
      return c.json({
        since: since.toISOString(),
        until: until.toISOString(),
        total: toView(total),
        data: keys.map(({ keyId, actor, ...coverage }) => ({ key_id: keyId, actor, ...toView(coverage) })),
      });
    },
  );
}

function toView(coverage: Coverage): z.infer<typeof coverageSchema> {
  const { governed, raw, rawRefused, simulated, callShare, costShares } = coverage;
  const traffic = ({ calls, costs, unknownCosts }: Coverage['raw']) => {
    return { calls, costs: { ...costs }, unknown_costs: unknownCosts };
  };
  return {
    governed: traffic(governed),
    raw: traffic(raw),
    raw_refused: rawRefused,
    simulated,
    call_share: callShare,
    cost_shares: { ...costShares },
  };
}
