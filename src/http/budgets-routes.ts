import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { budgetMeasures, budgetPeriods, budgetScopes } from '../domain/budget.ts';
import { isAmount } from '../domain/contract-price.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readBody } from './route.ts';

const amount = z
  .union([z.number(), z.string()])
  .transform(String)
  .refine((text) => isAmount(text) && Number(text) > 0, 'must be an amount above 0, like 25 or 0.5')
  .openapi({ type: 'string' });

const budgetBodySchema = z
  .strictObject({
    scope: z.enum(budgetScopes),
    subject: z
      .string()
      .min(1)
      .max(128)
      .openapi({ description: 'Name of the prompt or label; name or id of the key.' }),
    measure: z.enum(budgetMeasures),
    period: z.enum(budgetPeriods),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'is a code of three letters, e.g. EUR')
      .default('USD')
      .openapi({ description: 'Of a cost.' }),
    refuse_at: amount.nullable().default(null),
    warn_at: amount.nullable().default(null),
    reason: z.string().max(1_000).optional(),
  })
  .openapi('BudgetRequest');

const budgetSchema = z
  .object({
    scope: z.enum(budgetScopes),
    subject: z.string(),
    measure: z.enum(budgetMeasures),
    period: z.enum(budgetPeriods),
    currency: z.string().nullable(),
    refuse_at: z.string().nullable(),
    warn_at: z.string().nullable(),
    taken: z
      .string()
      .openapi({ description: 'Of the present period: spent, or held by gateways for calls to come.' }),
    actor: z.string(),
    reason: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
  .openapi('Budget');

export function addBudgetRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/budgets',
      summary: 'Budgets in force and what is taken of them',
      tag: 'budgets',
      scope: 'admin',
      response: z.object({ data: z.array(budgetSchema) }),
    },
    async (c) => {
      const budgets = await gateway.listBudgets();
      return c.json({
        data: budgets.map((budget) => ({
          scope: budget.scope,
          subject: budget.subject,
          measure: budget.measure,
          period: budget.period,
          currency: budget.currency || null,
          refuse_at: budget.refuseAt,
          warn_at: budget.warnAt,
          taken: budget.taken.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''),
          actor: budget.actor,
          reason: budget.reason,
          created_at: budget.createdAt.toISOString(),
        })),
      });
    },
  );
  addRoute(
    app,
    {
      method: 'put',
      path: '/v1/budgets',
      summary: 'Set a budget of a key, a prompt or a label; without thresholds: lift it',
      tag: 'budgets',
      scope: 'admin',
      body: budgetBodySchema,
      response: z.object({ set: z.boolean() }),
    },
    async (c) => {
      const { scope, subject, measure, period, currency, ...rest } = await readBody(c, budgetBodySchema);
      const { refuse_at: refuseAt, warn_at: warnAt, reason = null } = rest;
      const of = measure === 'cost' ? currency : '';
      const budget = { scope, subject, measure, period, currency: of, refuseAt, warnAt };
      await gateway.setBudget({ actor: c.get('actor'), budget, reason });
      return c.json({ set: refuseAt !== null || warnAt !== null });
    },
  );
}
