/** Versions over HTTP, for those who do not use git: add, read, compare, archive. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { VersionTarget } from '../application/registry-snapshot.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { labelPattern, maxVersionNumber } from '../domain/names.ts';
import type { HttpEnvironment } from './context.ts';
import {
  reasonSchema,
  toVersionDetail,
  toVersionView,
  versionDetailSchema,
  versionSchema,
} from './prompt-view.ts';
import { addRoute, pathParam, readBody, readQuery } from './route.ts';
import { differenceSchema } from './sync-routes.ts';

const versionNumber = z.number().int().min(1).max(maxVersionNumber);

const messageSchema = z
  .strictObject({
    role: z.enum(['system', 'user', 'assistant', 'history']),
    template: z.string().default('').openapi({ description: 'None for `history`.' }),
  })
  .openapi('MessageTemplate');

const addBodySchema = z
  .strictObject({
    source: z.string().optional().openapi({ description: 'The text of a definition file.' }),
    definition: z
      .looseObject({
        version: versionNumber.optional().openapi({ description: 'Default: the next one.' }),
        messages: z.array(messageSchema).min(1),
      })
      .optional()
      .openapi({
        description:
          'The same in parts: the keys of the front matter (model, config, input, output, …) and `messages`.',
      }),
    partials: z.record(z.string(), z.string()).default({}),
    git_commit: z.string().max(64).optional(),
    git_message: z.string().max(10_000).optional(),
    allow_backfill: z
      .boolean()
      .default(false)
      .openapi({ description: 'A number below the newest one is meant.' }),
  })
  .refine(({ source, definition }) => (source === undefined) !== (definition === undefined), {
    error: 'send either `source` or `definition`',
  })
  .openapi('AddVersionRequest');

const issueSchema = z.object({ path: z.string(), message: z.string() });

const archiveBodySchema = z
  .strictObject({
    version: versionNumber.nullable().default(null).openapi({ description: 'Null: the whole prompt.' }),
    archived: z.boolean().default(true).openapi({ description: 'False takes it out of the archive again.' }),
    reason: reasonSchema.optional(),
  })
  .openapi('ArchiveRequest');

const archiveSchema = z
  .object({
    prompt: z.string(),
    version: z.number().int().nullable(),
    archived: z.boolean(),
    actor: z.string(),
    reason: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
  .openapi('Archive');

const diffQuerySchema = z.strictObject({
  from: z.string().openapi({ description: 'A version number or a label.' }),
  to: z.string().openapi({ description: 'A version number or a label.' }),
});

const endSchema = z.object({ version: z.number().int(), checksum: z.string() });

const diffSchema = differenceSchema
  .extend({
    from: endSchema,
    to: endSchema,
    breaking: z.boolean().openapi({ description: 'A caller of `from` may fail with `to`.' }),
  })
  .openapi('VersionDiff');

export function addVersionRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addReads(app, gateway);
  addWrites(app, gateway);
}

const params = z.object({ name: z.string() });

function addReads(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}/versions',
      summary: 'List the versions of a prompt, newest first',
      tag: 'versions',
      params,
      response: z.object({ data: z.array(versionSchema) }),
    },
    async (c) => {
      const entry = gateway.getPrompt(c.get('actor'), pathParam(c, 'name'));
      const versions = [...entry.versions.values()].sort((a, b) => b.version - a.version);
      const tested = await gateway.readTestedVersions(entry.name);
      return c.json({
        data: versions.map((version) => toVersionView(version, entry, tested.get(version.version))),
      });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}/versions/{version}',
      summary: 'Read one version, by its number or by a label, with its source',
      tag: 'versions',
      params: params.extend({ version: z.string() }),
      response: versionDetailSchema,
    },
    async (c) => {
      const [actor, name] = [c.get('actor'), pathParam(c, 'name')];
      const version = gateway.getVersion(actor, name, toTarget(pathParam(c, 'version')));
      const tested = (await gateway.readTestedVersions(name)).get(version.version);
      return c.json(toVersionDetail(version, gateway.getPrompt(actor, name), tested));
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}/diff',
      summary: 'What differs between two versions: text by word, parameters, contract',
      tag: 'versions',
      params,
      query: diffQuerySchema,
      response: diffSchema,
    },
    (c) => {
      const query = readQuery(c, diffQuerySchema);
      const targets = { from: toTarget(query.from), to: toTarget(query.to) };
      const { from, to, diff } = gateway.diffVersions(c.get('actor'), pathParam(c, 'name'), targets);
      return c.json({
        from: { version: from.version, checksum: from.checksum },
        to: { version: to.version, checksum: to.checksum },
        breaking: diff.contract.some((change) => change.breaking),
        ...diff,
      });
    },
  );
}

function addWrites(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/prompts/{name}/versions',
      summary: 'Add a version, and its prompt where there is none',
      tag: 'versions',
      scope: 'publish',
      params,
      body: addBodySchema,
      status: 201,
      response: versionDetailSchema.extend({ created: z.boolean(), warnings: z.array(issueSchema) }),
    },
    async (c) => {
      const body = await readBody(c, addBodySchema);
      const [actor, promptName] = [c.get('actor'), pathParam(c, 'name')];
      const { created, version, warnings } = await gateway.addVersion({
        actor,
        promptName,
        definition: body.source ?? toForm(body.definition),
        partials: body.partials,
        gitCommit: body.git_commit ?? null,
        gitMessage: body.git_message ?? null,
        allowBackfill: body.allow_backfill,
      });
      const detail = toVersionDetail(version, gateway.getPrompt(actor, promptName));
      const issues = warnings.map(({ path, message }) => ({ path, message }));
      return c.json({ ...detail, created, warnings: issues }, created ? 201 : 200);
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/prompts/{name}/archive',
      summary: 'Keep a version, or a whole prompt, from being newly deployed; or take it out again',
      tag: 'versions',
      scope: 'deploy',
      params,
      body: archiveBodySchema,
      response: z.object({ changed: z.boolean(), archive: archiveSchema.nullable() }),
    },
    async (c) => {
      const body = await readBody(c, archiveBodySchema);
      const fact = await gateway.archivePrompt({
        ...body,
        actor: c.get('actor'),
        promptName: pathParam(c, 'name'),
        reason: body.reason ?? null,
      });
      if (!fact) return c.json({ changed: false, archive: null });
      const { promptName: prompt, createdAt, ...rest } = fact;
      return c.json({ changed: true, archive: { prompt, ...rest, created_at: createdAt.toISOString() } });
    },
  );
}

function toForm(definition: z.infer<typeof addBodySchema>['definition']) {
  const { messages = [], ...frontMatter } = definition ?? {};
  return { frontMatter: frontMatter as JsonObject, messages };
}

/** `3` is a version, `production` a label. @throws PromptgateError invalid_request */
function toTarget(text: string): VersionTarget {
  if (/^[1-9]\d{0,9}$/.test(text) && Number(text) <= maxVersionNumber) return { version: Number(text) };
  if (labelPattern.test(text)) return { label: text };
  throw new PromptgateError('invalid_request', 'Name a version by its number or by a label.');
}
