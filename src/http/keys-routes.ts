import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { type ApiKey, scopeSchema } from '../domain/api-key.ts';
import { promptGlobPattern } from '../domain/key-limits.ts';
import { labelPattern } from '../domain/names.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readBody } from './route.ts';

const keySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().openapi({ description: 'First characters of the secret.' }),
    scopes: z.array(scopeSchema),
    prompts: z
      .array(z.string())
      .nullable()
      .openapi({ description: 'Globs of the prompts that it may use; null: all.' }),
    labels: z.array(z.string()).nullable().openapi({ description: 'Labels that it may use; null: all.' }),
    raw: z.boolean().nullable().openapi({
      description: 'Whether it may call without a prompt; null: only a key that is limited to nothing may.',
    }),
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
    prompts: z
      .array(z.string().regex(promptGlobPattern, 'a prompt name in which `*` stands for any characters'))
      .min(1)
      .max(100)
      .optional(),
    labels: z
      .array(z.string().regex(labelPattern, 'lower-case letters, digits and dashes; begins with a letter'))
      .min(1)
      .max(100)
      .optional(),
    raw: z.boolean().optional(),
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
      scope: 'admin',
      body: createBodySchema,
      status: 201,
      response: keySchema.extend({ secret: z.string() }),
    },
    async (c) => {
      const { name, scopes, prompts = null, labels = null, raw } = await readBody(c, createBodySchema);
      const limits = { prompts, labels, ...(raw === undefined ? {} : { raw }) };
      const request = { actor: c.get('actor'), name, scopes, limits };
      const { key, secret } = await gateway.createKey(request);
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
      scope: 'admin',
      response: z.object({ data: z.array(keySchema) }),
    },
    (c) => {
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
      scope: 'admin',
      params: z.object({ key: z.string() }),
      response: keySchema,
    },
    async (c) => {
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
    prompts: key.limits.prompts && [...key.limits.prompts],
    labels: key.limits.labels && [...key.limits.labels],
    raw: key.limits.raw ?? null,
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  };
}
