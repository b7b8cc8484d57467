import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { FellowWorkers } from '../application/fellow-workers.ts';
import type { Gateway } from '../application/gateway.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute } from './route.ts';

export interface Operations {
  readonly version: string;
  readonly database: 'postgres' | 'embedded';
  readonly simulated: boolean;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  /** Metrics in the Prometheus text format. */
  metrics(): Promise<{ contentType: string; body: string }>;
  /** False from the moment that a shutdown begins. */
  accepting(): boolean;
  audit(): { readonly mode: 'strict' | 'spool'; readonly spooling: boolean; readonly spoolFull: boolean };
  /** Absent: this process is the whole gateway. */
  readonly fellows?: FellowWorkers | undefined;
}

/** From the best to the worst: a gateway is as ready as the worst of its workers, whichever is asked. */
const statuses = ['ready', 'spooling', 'degraded', 'stopping'] as const;

const readinessSchema = z
  .object({
    status: z.enum(statuses),
    version: z.string(),
    simulated: z.boolean(),
    database: z.object({ kind: z.enum(['postgres', 'embedded']), reachable: z.boolean() }),
    audit: z.object({ mode: z.enum(['strict', 'spool']), spooling: z.boolean() }),
    registry: z.object({ revision: z.number().int(), age_ms: z.number().nullable(), stale: z.boolean() }),
    workers: z.object({ wanted: z.number().int(), serving: z.number().int() }).optional(),
  })
  .openapi('Readiness');
type Readiness = z.infer<typeof readinessSchema>;

export function addOperationRoutes(
  app: OpenAPIHono<HttpEnvironment>,
  gateway: Gateway,
  operations: Operations,
): void {
  const open = { method: 'get', tag: 'operations', open: true } as const;
  const own = () => ownReadiness(gateway, operations);
  operations.fellows?.answer('readiness', async () => ({ answer: await own() }));
  addRoute(
    app,
    { ...open, path: '/healthz', summary: 'Alive', response: z.object({ status: z.literal('ok') }) },
    (c) => c.json({ status: 'ok' }),
  );
  addRoute(
    app,
    { ...open, path: '/readyz', summary: 'Ready for traffic (200) or not (503)', response: readinessSchema },
    async (c) => {
      const body = await readinessOfAll(await own(), operations.fellows);
      return c.json(body, body.status === 'ready' || body.status === 'spooling' ? 200 : 503);
    },
  );
  addRoute(
    app,
    { ...open, path: '/metrics', summary: 'Metrics in the Prometheus text format', response: z.string() },
    async (c) => {
      const { contentType, body } = await operations.metrics();
      return c.body(body, 200, { 'content-type': contentType });
    },
  );
}

async function readinessOfAll(own: Readiness, fellows: FellowWorkers | undefined): Promise<Readiness> {
  if (!fellows) return own;
  const { answers, wanted } = await fellows.ask('readiness');
  // Who does not say how it is does not serve anybody either.
  const known = answers.map((answer) => (answer as Readiness | undefined)?.status ?? 'degraded');
  const worst = Math.max(...[own.status, ...known].map((status) => statuses.indexOf(status)));
  return { ...own, status: statuses[worst] ?? own.status, workers: { wanted, serving: answers.length } };
}

async function ownReadiness(gateway: Gateway, operations: Operations): Promise<Readiness> {
  const reachable = await operations.ping().then(
    () => true,
    () => false,
  );
  const health = gateway.health();
  const audit = operations.audit();
  return {
    status: statusOf(operations.accepting(), reachable && !health.stale, audit),
    version: operations.version,
    simulated: operations.simulated,
    database: { kind: operations.database, reachable },
    registry: {
      revision: health.revision,
      age_ms: Number.isFinite(health.ageMs) ? health.ageMs : null,
      stale: health.stale,
    },
    audit: { mode: audit.mode, spooling: audit.spooling },
  };
}

/** A gateway that spools takes traffic: that is what it was configured for. */
function statusOf(
  accepting: boolean,
  sound: boolean,
  audit: ReturnType<Operations['audit']>,
): Readiness['status'] {
  if (!accepting) return 'stopping';
  if (sound) return 'ready';
  return audit.mode === 'spool' && !audit.spoolFull ? 'spooling' : 'degraded';
}
