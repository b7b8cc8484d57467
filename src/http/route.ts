/**
 * A route is declared once, for the router and for /openapi.json. Bodies and queries are parsed here, not by the
 * framework's validators: these answer before our error table can, and drop a body that lacks a content type.
 */
import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';

import type { Scope } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { requireScope } from './authenticate.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
import { errorBodySchema } from './error-response.ts';

interface RouteDeclaration {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** OpenAPI's spelling: `/v1/prompts/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  /** What the key must have; left out: any valid key will do. */
  readonly scope?: Scope;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly status?: 200 | 201;
  readonly response: z.ZodType;
  /** What each server-sent event carries, where the answer can be streamed. */
  readonly stream?: z.ZodType;
  /** Of endpoints in the shape of another API. */
  readonly error?: z.ZodType;
  readonly open?: boolean;
}

export function addRoute(
  app: OpenAPIHono<HttpEnvironment>,
  declaration: RouteDeclaration,
  handler: (c: HttpContext) => Response | Promise<Response>,
): void {
  app.openAPIRegistry.registerPath(toRouteConfig(declaration));
  const { method, path, scope } = declaration;
  app.on(method.toUpperCase(), path.replace(/\{(\w+)\}/g, ':$1'), async (c) => {
    if (scope) requireScope(c.get('actor'), scope);
    return handler(c);
  });
}

function toRouteConfig(declaration: RouteDeclaration): RouteConfig {
  const json = (schema: z.ZodType) => ({ 'application/json': { schema } });
  const { stream } = declaration;
  const streamed = stream ? { 'text/event-stream': { schema: stream } } : {};
  return {
    method: declaration.method,
    path: declaration.path,
    summary: declaration.summary,
    ...(declaration.open ? {} : { description: toDescription(declaration.scope) }),
    tags: [declaration.tag],
    ...(declaration.open ? {} : { security: [{ key: [] }] }),
    request: {
      ...(declaration.params ? { params: declaration.params } : {}),
      ...(declaration.query ? { query: declaration.query } : {}),
      ...(declaration.body ? { body: { required: true, content: json(declaration.body) } } : {}),
    },
    responses: {
      [declaration.status ?? 200]: {
        description: declaration.summary,
        content: { ...json(declaration.response), ...streamed },
      },
      default: {
        description: 'An error of the error table',
        content: json(declaration.error ?? errorBodySchema),
      },
    },
  } as RouteConfig;
}

function toDescription(scope: Scope | undefined): string {
  if (scope === undefined) return 'Any valid key; it sees what its limits let it.';
  return `Needs the scope \`${scope}\`${scope === 'admin' ? '' : ', which `admin` includes'}.`;
}

/** Taken as it is, not copied: a copy would lose a `__proto__` key, which has to be refused. */
export const jsonObjectSchema = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'must be an object',
  })
  .openapi({ type: 'object', additionalProperties: true });

/** A part of the path that the route declares. */
export function pathParam(c: HttpContext, name: string): string {
  return c.req.param(name) ?? '';
}

/** An issue quotes names that the caller chose: what is answered, logged and recorded stays small. */
const maxIssues = 20;
const maxIssueLength = 300;

function shorten(text: string): string {
  return text.length > maxIssueLength ? `${text.slice(0, maxIssueLength)}…` : text;
}

/**
 * The body as `schema` describes it, whatever content type it claims.
 * @param schema or what picks one by looking at the body
 * @throws PromptgateError invalid_request — not JSON, or not of the schema: every issue with its path
 */
export async function readBody<T>(
  c: HttpContext,
  schema: z.ZodType<T> | ((body: unknown) => z.ZodType<T>),
): Promise<T> {
  const text = await readText(c);
  if (text === '') throw new PromptgateError('invalid_request', 'The body is empty; send a JSON object.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(String(error))?.[1];
    throw new PromptgateError(
      'invalid_request',
      `The body is not valid JSON${position ? ` (at character ${position})` : ''}.`,
    );
  }
  return parse(typeof schema === 'function' ? schema(value) : schema, value, 'The body does not fit');
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bytes that are no UTF-8 are refused: decoding them anyway would change what the caller sent. */
async function readText(c: HttpContext): Promise<string> {
  // Not Hono's own: it would keep the bytes for as long as the answer is made.
  const bytes = await c.req.raw.arrayBuffer();
  try {
    return utf8.decode(bytes);
  } catch {
    throw new PromptgateError('invalid_request', 'The body is not valid UTF-8.');
  }
}

/** @throws PromptgateError invalid_request */
export function readQuery<T>(c: HttpContext, schema: z.ZodType<T>): T {
  return parse(schema, c.req.query(), 'The query does not fit');
}

function parse<T>(schema: z.ZodType<T>, value: unknown, complaint: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, maxIssues).map((issue) => ({
    path: shorten(issue.path.map(String).join('.') || '(top)'),
    message: shorten(issue.message),
  }));
  const first = issues[0]!;
  throw new PromptgateError('invalid_request', `${complaint}: ${first.path}: ${first.message}`, { issues });
}
