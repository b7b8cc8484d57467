import { stringify } from 'yaml';
import type { JsonObject } from './json.ts';

export interface DefinitionForm {
  /** The keys of the front matter, as a definition spells them. */
  readonly frontMatter: JsonObject;
  /** Each in promptgate's template language; the history has no template. */
  readonly messages: readonly {
    readonly role: 'system' | 'user' | 'assistant' | 'history';
    readonly template: string;
  }[];
}

/** The text of a definition that has its parts as data. It is checked by being parsed, like every other. */
export function writeDefinition({ frontMatter, messages }: DefinitionForm): string {
  const yaml = stringify(frontMatter, { lineWidth: 0, aliasDuplicateObjects: false });
  const body = messages.map(({ role, template }) =>
    role === 'history' ? '{{history}}' : `{{role "${role === 'assistant' ? 'model' : role}"}}\n${template}`,
  );
  return `---\n${yaml}---\n${body.join('\n')}\n`;
}
