import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { HttpEnvironment } from './context.ts';
import { promptSchema, toPromptView, toVersionView, versionSchema } from './prompt-view.ts';
import { addRoute, pathParam } from './route.ts';

const promptDetailSchema = promptSchema.extend({ versions: z.array(versionSchema) }).openapi('PromptDetail');

export function addPromptRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  const nameParam = z.object({ name: z.string() });
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts',
      summary: 'List prompts with their labels',
      tag: 'prompts',
      response: z.object({ data: z.array(promptSchema) }),
    },
    (c) => c.json({ data: gateway.listPrompts(c.get('actor')).map(toPromptView) }),
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}',
      summary: 'Read one prompt and its versions, newest first',
      tag: 'prompts',
      params: nameParam,
      response: promptDetailSchema,
    },
    (c) => {
      const entry = gateway.getPrompt(c.get('actor'), pathParam(c, 'name'));
      const versions = [...entry.versions.values()].sort((a, b) => b.version - a.version);
      return c.json({
        ...toPromptView(entry),
        versions: versions.map((version) => toVersionView(version, entry)),
      });
    },
  );
}
