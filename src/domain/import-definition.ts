/** A draft as the parts of a definition. */
import type { ImportDraft } from './import-draft.ts';
import type { JsonObject } from './json.ts';
import { promptNamePattern } from './names.ts';
import type { DefinitionForm } from './write-definition.ts';

export const maxDescriptionLength = 10_000;

export interface DefinitionHead {
  readonly name: string;
  readonly version: number;
  readonly model: string;
}

export function toDefinitionForm(
  draft: ImportDraft,
  { name, version, model }: DefinitionHead,
): DefinitionForm {
  const description = draft.description?.trim().slice(0, maxDescriptionLength);
  const frontMatter: JsonObject = {
    name,
    version,
    ...(description === undefined ? {} : { description }),
    model,
    ...(Object.keys(draft.config).length === 0 ? {} : { config: draft.config }),
    ...(draft.variables.size === 0 ? {} : { input: { schema: writeSchema([...draft.variables]) } }),
    ...(draft.outputFormat === 'text' ? {} : { output: writeOutput(draft) }),
    ...(Object.keys(draft.tools).length === 0 ? {} : { tools: draft.tools }),
    metadata: { importedFrom: draft.origin },
  };
  return { frontMatter, messages: draft.messages };
}

/** Every variable is a text: no other tool says more. Names that Picoschema would read otherwise need JSON Schema. */
function writeSchema(names: readonly string[]): JsonObject {
  const fields = Object.fromEntries(names.map((name) => [name, 'string']));
  if (!names.includes('type') && !names.includes('properties')) return fields;
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
    required: [...names],
  };
}

function writeOutput({ outputSchema }: ImportDraft): JsonObject {
  return { format: 'json', ...(outputSchema === undefined ? {} : { schema: outputSchema }) };
}

/** The nearest name that a prompt may have: `Résumé — v2!` is `resume-v2`; `prompt` when nothing is left. */
export function toPromptName(text: string): string {
  const slug = text
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, '-')
    .replaceAll(/\.{2,}/g, '.')
    .slice(0, 128)
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  return promptNamePattern.test(slug) ? slug : 'prompt';
}
