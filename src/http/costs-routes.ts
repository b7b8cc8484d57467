import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { CostFilter } from '../application/cost-store.ts';
import type { Gateway } from '../application/gateway.ts';
import { comparisonConfidence } from '../application/read-costs.ts';
import { type CostDimension, costDimensions } from '../domain/cost-line.ts';
import { PromptgateError } from '../domain/errors.ts';
import { executionPurposes, executionStatuses } from '../domain/execution.ts';
import type { HttpEnvironment } from './context.ts';
import {
  costComparisonSchema,
  costReportSchema,
  toComparisonView,
  toCostReportView,
  toCostsCsv,
} from './cost-view.ts';
import { addRoute, readBody, readQuery } from './route.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const defaultDays = 30;
const linesMax = 100_000;

const time = z.iso.datetime({ offset: true });
const periodSchema = {
  since: time.optional().openapi({ description: 'Default: 30 days ago. Rounded to the hour.' }),
  until: time.optional().openapi({ description: 'Default: now. Rounded up to the hour.' }),
};
const version = z.coerce.number().int().min(1);
const filterSchema = {
  label: z.string().optional(),
  model: z.string().optional(),
  key: z.uuid().optional().openapi({ description: 'Id of an API key.' }),
  purpose: z.enum(executionPurposes).optional(),
  status: z.enum(executionStatuses).optional(),
};

const querySchema = z.strictObject({
  by: z
    .string()
    .default('prompt,version')
    .transform((text) => text.split(',').filter((one) => one !== ''))
    .pipe(z.array(z.enum(costDimensions)))
    .openapi({ type: 'string', description: `Any of ${costDimensions.join(', ')}, with commas.` }),
  ...periodSchema,
  prompt: z.string().optional(),
  version: version.optional(),
  ...filterSchema,
  latency: z.enum(['true', 'false']).default('false').openapi({ description: 'Percentiles too.' }),
  limit: z.coerce.number().int().min(1).max(linesMax).default(1_000).openapi({ description: 'Lines.' }),
  format: z.enum(['json', 'csv']).default('json'),
});

const comparisonQuerySchema = z.strictObject({
  prompt: z.string(),
  from: version,
  to: version,
  ...periodSchema,
  ...filterSchema,
});

const backfillBodySchema = z
  .strictObject({
    since: time,
    until: time,
    reason: z.string().min(1).max(1_000),
    dry_run: z.boolean().default(false),
  })
  .openapi('BackfillRequest');

const backfillSchema = z
  .object({
    looked: z.number().int().openapi({ description: 'Calls that were billed and not priced.' }),
    priced: z.number().int(),
    unknown: z.array(z.object({ reason: z.string(), executions: z.number().int() })),
  })
  .openapi('Backfill');

const rebuildBodySchema = z.strictObject({ since: time, until: time }).openapi('RebuildRequest');

export function addCostRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/costs',
      summary: 'What executions cost, by prompt, version, label, model, key, day',
      tag: 'costs',
      scope: 'execute',
      query: querySchema,
      response: costReportSchema,
    },
    async (c) => {
      const query = readQuery(c, querySchema);
      const by = costDimensions.filter((one) => query.by.includes(one));
      const { limit } = query;
      const latency = query.latency === 'true';
      const question = { ...periodOf(query), ...toFilter(query), by, latency, limit };
      const report = await gateway.readCosts(c.get('actor'), question);
      const view = toCostReportView(report, by, keyNames(gateway, by));
      if (query.format === 'json') return c.json(view);
      if (view.more) throw tooManyLines(limit);
      return c.body(toCostsCsv(view), 200, { 'content-type': 'text/csv; charset=utf-8' });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/costs/comparison',
      summary:
        'What a run of one version costs against another, also for 1,000 prompt tokens; how sure that is',
      tag: 'costs',
      scope: 'execute',
      query: comparisonQuerySchema,
      response: costComparisonSchema,
    },
    async (c) => {
      const query = readQuery(c, comparisonQuerySchema);
      const { prompt, from, to } = query;
      const period = periodOf(query);
      const request = { ...toFilter(query), promptName: prompt, from, to, ...period };
      return c.json({
        prompt,
        from,
        to,
        since: period.since.toISOString(),
        until: period.until.toISOString(),
        confidence: comparisonConfidence,
        data: toComparisonView(await gateway.compareCosts(c.get('actor'), request)),
      });
    },
  );
  addCostKeepingRoutes(app, gateway);
}

function addCostKeepingRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/costs/backfills',
      summary: 'Work out the cost of calls whose price was not known, beside their rows',
      tag: 'costs',
      scope: 'admin',
      body: backfillBodySchema,
      response: backfillSchema,
    },
    async (c) => {
      const { since, until, reason, dry_run: dryRun } = await readBody(c, backfillBodySchema);
      const period = { since: new Date(since), until: new Date(until) };
      const report = await gateway.backfillCosts({ actor: c.get('actor'), ...period, reason, dryRun });
      return c.json({ ...report, unknown: [...report.unknown] });
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/costs/rebuild',
      summary: 'Sum the hours of a period anew',
      tag: 'costs',
      scope: 'admin',
      body: rebuildBodySchema,
      response: z.object({ summed: z.number().int() }),
    },
    async (c) => {
      const { since, until } = await readBody(c, rebuildBodySchema);
      return c.json({ summed: await gateway.rebuildCosts(new Date(since), new Date(until)) });
    },
  );
}

/** Nothing in a table says that it was cut, and its sums would be too low. */
function tooManyLines(limit: number): PromptgateError {
  return new PromptgateError(
    'invalid_request',
    `There are more than ${limit} lines: ask for a shorter period, fewer dimensions, or a higher limit (at most ${linesMax}).`,
  );
}

/** Days where nothing else is said: they are answered from the sums of days. */
function periodOf(query: { since?: string | undefined; until?: string | undefined }) {
  const now = Date.now();
  const until = query.until ? up(Date.parse(query.until), hourMs) : up(now, dayMs);
  const since = query.since
    ? Math.floor(Date.parse(query.since) / hourMs) * hourMs
    : until - defaultDays * dayMs;
  return { since: new Date(since), until: new Date(until) };
}

function up(time: number, unit: number): number {
  return Math.ceil(time / unit) * unit;
}

function toFilter(
  query: { prompt?: string | undefined; version?: number | undefined } & {
    [K in keyof typeof filterSchema]?: z.infer<(typeof filterSchema)[K]>;
  },
): CostFilter {
  return {
    ...(query.prompt === undefined ? {} : { promptName: query.prompt }),
    ...(query.version === undefined ? {} : { promptVersion: query.version }),
    ...(query.label === undefined ? {} : { label: query.label }),
    ...(query.model === undefined ? {} : { model: query.model }),
    ...(query.key === undefined ? {} : { keyId: query.key }),
    ...(query.purpose === undefined ? {} : { purpose: query.purpose }),
    ...(query.status === undefined ? {} : { status: query.status }),
  };
}

function keyNames(gateway: Gateway, by: readonly CostDimension[]): ReadonlyMap<string, string> {
  return new Map(by.includes('key') ? gateway.listKeys().map(({ id, name }) => [id, name]) : []);
}
