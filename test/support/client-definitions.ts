/** Prompts that the tests of foreign clients call. */
import { definition, definitions } from './gateway.ts';

export const clientDefinitions = {
  ...definitions,
  'talk.prompt': definition(
    'talk',
    1,
    'gpt-4o-mini',
    '{{role "system"}}\nYou talk with {{name}}.\n{{history}}',
    'config: { temperature: 0.2, maxOutputTokens: 50 }\n',
  ),
  'agent.prompt': definition(
    'agent',
    1,
    'claude-haiku-4-5',
    '{{role "user"}}\nThe weather for {{name}}?\n{{history}}',
    'tools:\n  get_weather:\n    description: Of a city.\n    input: { city: string }\n',
  ),
  'short.prompt': definition(
    'short',
    1,
    'gpt-4o-mini',
    'Greet {{name}}.',
    'config: { maxOutputTokens: 2 }\n',
  ),
  'moved.prompt': definition(
    'moved',
    1,
    'gpt-4o-mini',
    'Greet {{name}}.',
    'metadata: { importedFrom: { format: openai, promptId: pmpt_6A0b, promptVersion: "7" } }\n',
  ),
};
