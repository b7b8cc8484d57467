import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readBody, readQuery } from './route.ts';

const verifyQuerySchema = z.strictObject({
  since: z.iso
    .datetime({ offset: true })
    .optional()
    .openapi({ description: 'Executions from this time on; default: all.' }),
});

const verificationSchema = z
  .object({
    sound: z.boolean(),
    checks: z.array(
      z.object({
        check: z.string(),
        about: z.string().openapi({ description: 'What holds when there are no violations.' }),
        violations: z.number().int(),
        examples: z.array(z.string()),
      }),
    ),
  })
  .openapi('AuditVerification');

const retentionBodySchema = z
  .strictObject({
    months: z
      .number()
      .int()
      .min(1)
      .max(1_200)
      .openapi({ description: 'Whole months to keep before the current one.' }),
  })
  .openapi('RetentionRequest');

const retentionSchema = z
  .object({
    dropped: z.array(
      z.object({
        partition: z.string(),
        rows_estimated: z.number().int(),
        actor: z.string(),
        dropped_at: z.iso.datetime(),
      }),
    ),
  })
  .openapi('Retention');

export function addAuditRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/audit/verify',
      summary: 'Check the invariants of the audit trail',
      tag: 'audit',
      scope: 'admin',
      query: verifyQuerySchema,
      response: verificationSchema,
    },
    async (c) => {
      const { since } = readQuery(c, verifyQuerySchema);
      const checks = await gateway.verifyAudit(since ? new Date(since) : undefined);
      return c.json({
        sound: checks.every(({ violations }) => violations === 0),
        checks: checks.map(({ name, about, violations, examples }) => ({
          check: name,
          about,
          violations,
          examples: [...examples],
        })),
      });
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/audit/retention',
      summary: 'Drop the months of executions that are older than the ones to keep',
      tag: 'audit',
      scope: 'admin',
      body: retentionBodySchema,
      response: retentionSchema,
    },
    async (c) => {
      const { months } = await readBody(c, retentionBodySchema);
      const dropped = await gateway.retainAudit(months, c.get('actor'));
      return c.json({
        dropped: dropped.map((one) => ({
          partition: one.partition,
          rows_estimated: one.rowsEstimated,
          actor: one.actor,
          dropped_at: one.createdAt.toISOString(),
        })),
      });
    },
  );
}
