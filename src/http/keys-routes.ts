import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { type ApiKey, scopeSchema } from '../domain/api-key.ts';
import { requireScope } from './authenticate.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readBody } from './route.ts';

const keySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().openapi({ description: 'First characters of the secret.' }),
    scopes: z.array(scopeSchema),
    created_at: z.iso.datetime(),
    created_by: z.string(),
    revoked_at: z.iso.datetime().nullable(),
  })
  .openapi('Key');

const createBodySchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'lower-case letters, digits, dots, dashes; at most 64'),
    scopes: z.array(scopeSchema).min(1).default(['execute']),
  })
  .openapi('CreateKeyRequest');

export function addKeyRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/keys',
      summary: 'Create a key; the secret is in this answer alone',
      tag: 'keys',
      body: createBodySchema,
      status: 201,
      response: keySchema.extend({ secret: z.string() }),
    },
    async (c) => {
      requireScope(c.get('actor'), 'admin');
      const body = await readBody(c, createBodySchema);
      const { key, secret } = await gateway.createKey({ actor: c.get('actor'), ...body });
      return c.json({ ...toKeyView(key), secret }, 201);
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/keys',
      summary: 'List keys, without their secrets',
      tag: 'keys',
      response: z.object({ data: z.array(keySchema) }),
    },
    (c) => {
      requireScope(c.get('actor'), 'admin');
      const keys = gateway.listKeys().sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
      return c.json({ data: keys.map(toKeyView) });
    },
  );
  addRoute(
    app,
    {
      method: 'delete',
      path: '/v1/keys/{key}',
      summary: 'Revoke a key by id or name; it stops working everywhere within a second',
      tag: 'keys',
      params: z.object({ key: z.string() }),
      response: keySchema,
    },
    async (c) => {
      requireScope(c.get('actor'), 'admin');
      return c.json(toKeyView(await gateway.revokeKey(c.req.param('key') ?? '')));
    },
  );
}

function toKeyView(key: ApiKey): z.infer<typeof keySchema> {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    scopes: [...key.scopes],
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  };
}
