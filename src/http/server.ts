/** The HTTP face: identify → authenticate → bound → route; every failure leaves through one error table. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Gateway } from '../application/gateway.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { TraceContext } from '../domain/trace-context.ts';
import { toAnthropicErrorBody } from './anthropic-error.ts';
import { addAuditRoutes } from './audit-routes.ts';
import { authenticate } from './authenticate.ts';
import { addBudgetRoutes } from './budgets-routes.ts';
import { auditRefusals } from './call-prompt.ts';
import { addChatRoutes } from './chat-routes.ts';
import { type HttpContext, type HttpEnvironment, identifyRequest } from './context.ts';
import { addCostRoutes } from './costs-routes.ts';
import { addCoverageRoutes } from './coverage-routes.ts';
import { addDriftRoutes } from './drift-routes.ts';
import { type ErrorLog, respondWithError } from './error-response.ts';
import { addEvaluationRoutes } from './evaluations-routes.ts';
import { addExecutionRoutes } from './executions-routes.ts';
import { addGateRoutes } from './gate-routes.ts';
import { addKeyRoutes } from './keys-routes.ts';
import { addLabelRoutes } from './labels-routes.ts';
import { addMessagesRoutes } from './messages-routes.ts';
import { toOpenaiErrorBody } from './openai-error.ts';
import { addOperationRoutes, type Operations } from './operations-routes.ts';
import { addPortkeyRoutes } from './portkey-routes.ts';
import { addProbesRoutes } from './probes-routes.ts';
import { addPromptRoutes } from './prompts-routes.ts';
import { addReplayBatchRoutes } from './replay-batch-routes.ts';
import { addReplayRoutes } from './replay-routes.ts';
import { addResponsesRoutes } from './responses-routes.ts';
import { addSummaryRoutes } from './summary-routes.ts';
import { addSyncRoutes } from './sync-routes.ts';
import { addVersionRoutes } from './versions-routes.ts';

export interface HttpOptions {
  readonly gateway: Gateway;
  readonly operations: Operations;
  readonly maxBodyBytes: number;
  readonly onError: ErrorLog;
  /** Null where traces are not exported. */
  readonly beginTrace: (() => TraceContext) | null;
}

/** Where a refusal is an execution that was refused. */
const executing = [
  '/v1/prompts/:name/executions',
  '/v1/prompts/:name/completions',
  '/v1/responses',
  '/v1/chat/completions',
  '/v1/messages',
];

/** Where failures have the shape of another API, from the first thing that can fail. */
const foreignErrors = [
  ['/v1/responses', toOpenaiErrorBody],
  ['/v1/chat/completions', toOpenaiErrorBody],
  ['/v1/models', toOpenaiErrorBody],
  ['/v1/messages', toAnthropicErrorBody],
  ['/v1/prompts/:name/completions', toOpenaiErrorBody],
  ['/v1/prompts/:name/render', toOpenaiErrorBody],
] as const;

export type HttpApp = OpenAPIHono<HttpEnvironment>;

export function createHttpApp(options: HttpOptions): HttpApp {
  const app: HttpApp = new OpenAPIHono<HttpEnvironment>();
  app.onError(respondWithError(options.onError));
  app.use(identifyRequest(options.beginTrace));
  app.notFound((c) => {
    throw new PromptgateError(
      'not_found',
      `There is no ${c.req.method} ${c.req.path}; /openapi.json lists what there is.`,
    );
  });
  addOperationRoutes(app, options.gateway, options.operations);
  for (const [path, toErrorBody] of foreignErrors) app.use(path, speakErrors(toErrorBody));
  app.use('/v1/*', authenticate({ authenticate: options.gateway.authenticate }));
  app.openAPIRegistry.registerComponent('securitySchemes', 'key', { type: 'http', scheme: 'bearer' });
  for (const path of executing) app.post(path, auditRefusals(options.gateway));
  app.use('/v1/*', limitBodies(options.maxBodyBytes));
  addExecutionRoutes(app, options.gateway, options.onError);
  addReplayRoutes(app, options.gateway);
  addReplayBatchRoutes(app, options.gateway, options.onError);
  addResponsesRoutes(app, options.gateway, options.onError);
  addChatRoutes(app, options.gateway, options.onError);
  addMessagesRoutes(app, options.gateway, options.onError);
  addPortkeyRoutes(app, options.gateway, options.onError);
  addCoverageRoutes(app, options.gateway);
  addDriftRoutes(app, options.gateway);
  addProbesRoutes(app, options.gateway, options.onError);
  addPromptRoutes(app, options.gateway);
  addVersionRoutes(app, options.gateway);
  addLabelRoutes(app, options.gateway);
  addEvaluationRoutes(app, options.gateway, options.onError);
  addGateRoutes(app, options.gateway);
  addSyncRoutes(app, options.gateway);
  addKeyRoutes(app, options.gateway);
  addAuditRoutes(app, options.gateway);
  addCostRoutes(app, options.gateway);
  addSummaryRoutes(app, options.gateway);
  addBudgetRoutes(app, options.gateway);
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'promptgate',
      version: options.operations.version,
      description: 'A governed LLM execution gateway.',
    },
  });
  return app;
}

function speakErrors(
  toErrorBody: (error: PromptgateError, requestId: string) => object,
): MiddlewareHandler<HttpEnvironment> {
  return async function speakErrors(c, next) {
    c.set('toErrorBody', toErrorBody);
    await next();
  };
}

/** A sync, and its plan, carries a whole directory of definitions; an evaluation its cases. */
const maxSyncBytes = 33_554_432;

function limitBodies(maxBytes: number): MiddlewareHandler<HttpEnvironment> {
  const others = limitBody(maxBytes);
  const sync = limitBody(maxSyncBytes);
  return (c, next) => (isLarge(c.req.path) ? sync(c, next) : others(c, next));
}

function isLarge(path: string): boolean {
  return ['/v1/plan', '/v1/sync'].includes(path) || /^\/v1\/prompts\/[^/]+\/evaluations$/.test(path);
}

function limitBody(maxSize: number): MiddlewareHandler<HttpEnvironment> {
  const refuse = (c: HttpContext) => {
    // The rest of the body stays unread, so the connection cannot be used again.
    c.header('connection', 'close');
    throw new PromptgateError('invalid_request', `The body is larger than ${maxSize} bytes.`);
  };
  const count = bodyLimit({ maxSize, onError: refuse });
  return async (c, next) => {
    const length = c.req.header('content-length');
    if (length === undefined || c.req.header('transfer-encoding') !== undefined) return count(c, next);
    // Node takes no more than the stated length. To count, the body would be wrapped into three streams first.
    return Number(length) > maxSize ? refuse(c) : next();
  };
}
