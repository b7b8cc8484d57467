import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { yesterdayOf } from '../domain/daily-summary.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readBody, readQuery } from './route.ts';
import { postedSchema, summarySchema, toPostedView, toSummaryView } from './summary-view.ts';

const daySchema = z.iso
  .date('is written 2026-11-20')
  .optional()
  .openapi({ description: 'UTC, and over. Default: yesterday.' });
const querySchema = z.strictObject({ day: daySchema });
const bodySchema = z.strictObject({ day: daySchema }).openapi('PostSummaryRequest');

export function addSummaryRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/costs/summary',
      summary: 'What a day cost, by version, against the days before it; budgets; what came late',
      tag: 'costs',
      scope: 'admin',
      query: querySchema,
      response: summarySchema,
    },
    async (c) => {
      const { day = yesterdayOf(Date.now()) } = readQuery(c, querySchema);
      return c.json(toSummaryView(await gateway.summarizeDay(day)));
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/costs/summary',
      summary: 'Post the summary of a day to the webhook, unless it was taken before',
      tag: 'costs',
      scope: 'admin',
      body: bodySchema,
      response: postedSchema,
    },
    async (c) => {
      const { day = yesterdayOf(Date.now()) } = await readBody(c, bodySchema);
      return c.json(toPostedView(await gateway.postSummary(c.get('actor'), day)));
    },
  );
}
