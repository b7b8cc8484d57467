import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
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
}

const readinessSchema = z
  .object({
    status: z.enum(['ready', 'spooling', 'degraded', 'stopping']),
    version: z.string(),
    simulated: z.boolean(),
    database: z.object({ kind: z.enum(['postgres', 'embedded']), reachable: z.boolean() }),
    audit: z.object({ mode: z.enum(['strict', 'spool']), spooling: z.boolean() }),
    registry: z.object({ revision: z.number().int(), age_ms: z.number().nullable(), stale: z.boolean() }),
  })
  .openapi('Readiness');

export function addOperationRoutes(
  app: OpenAPIHono<HttpEnvironment>,
  gateway: Gateway,
  operations: Operations,
): void {
  const open = { method: 'get', tag: 'operations', open: true } as const;
  addRoute(
    app,
    { ...open, path: '/healthz', summary: 'Alive', response: z.object({ status: z.literal('ok') }) },
    (c) => c.json({ status: 'ok' }),
  );
  addRoute(
    app,
    { ...open, path: '/readyz', summary: 'Ready for traffic (200) or not (503)', response: readinessSchema },
    (c) => readiness(c, gateway, operations),
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

async function readiness(c: HttpContext, gateway: Gateway, operations: Operations): Promise<Response> {
  const reachable = await operations.ping().then(
    () => true,
    () => false,
  );
  const health = gateway.health();
  const audit = operations.audit();
  const status = statusOf(operations.accepting(), reachable && !health.stale, audit);
  const body: z.infer<typeof readinessSchema> = {
    status,
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
  return c.json(body, status === 'ready' || status === 'spooling' ? 200 : 503);
}

/** A gateway that spools takes traffic: that is what it was configured for. */
function statusOf(accepting: boolean, sound: boolean, audit: ReturnType<Operations['audit']>) {
  if (!accepting) return 'stopping';
  if (sound) return 'ready';
  return audit.mode === 'spool' && !audit.spoolFull ? 'spooling' : 'degraded';
}
