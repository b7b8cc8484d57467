/** Which tools a call that brings its own prompt may be answered with, in the shapes of OpenAI (both APIs) and of Anthropic. */
import type { Tool, ToolChoice } from '../domain/tool.ts';
import { saysNothing } from './body-keys.ts';
import { isObject, refuse } from './turn-parts.ts';

const words: Readonly<Record<string, ToolChoice>> = {
  auto: 'auto',
  none: 'none',
  required: 'required',
  any: 'required',
};

/** @param tools of the call @throws PromptgateError invalid_request — a choice among tools that are not there, or none of these */
export function readToolChoice(
  value: unknown,
  tools: readonly Tool[] | undefined,
  path: string,
): ToolChoice | undefined {
  if (saysNothing(value)) return undefined;
  const choice = toChoice(value, path);
  if (tools) {
    const isThere = typeof choice === 'string' || tools.some(({ name }) => name === choice.name);
    if (isThere) return choice;
    throw refuse(path, 'the name of one of the tools');
  }
  // Without tools none can be called anyway, and the providers refuse to hear of it.
  if (choice === 'auto' || choice === 'none') return undefined;
  throw refuse(path, 'tools to choose from');
}

function toChoice(value: unknown, path: string): ToolChoice {
  if (isObject(value) && saysNothing(value.disable_parallel_tool_use)) {
    const { name } = isObject(value.function) ? value.function : value;
    const isNamed = value.type === 'function' || value.type === 'tool';
    if (isNamed && typeof name === 'string') return { name };
  } else if (isObject(value)) {
    throw refuse(`${path}.disable_parallel_tool_use`, 'nothing: this gateway does not carry it');
  }
  const word = isObject(value) ? value.type : value;
  if (typeof word === 'string' && Object.hasOwn(words, word)) return words[word]!;
  throw refuse(path, 'auto, none, required (any) or the name of a tool');
}
