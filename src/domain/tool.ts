/** Tools that a definition declares, and the calls of them that a model asks for. The gateway runs none of them. */
import { z } from 'zod';
import { PromptgateError } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { compileSchema } from './json-schema.ts';
import type { Message } from './message.ts';
import { parsePicoschema } from './picoschema.ts';

export interface Tool {
  readonly name: string;
  readonly description: string | null;
  /** Of the arguments: always an object. */
  readonly inputSchema: JsonObject;
}

/** Which tools an answer may call: as it likes, none, at least one, or this one. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** What a model asks its caller to run. */
export interface ToolCall {
  /** The provider's id; the result names it. */
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it: it may be cut off or not be JSON at all. */
  readonly arguments: string;
}

/** The arguments as the object that every tool takes; a call without any may say nothing. Undefined when they are none. */
export function parseArguments(said: string): JsonObject | undefined {
  if (said === '') return {};
  try {
    const value = JSON.parse(said) as Json;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What every wire accepts as the name of a tool. */
export const toolNamePattern = /^[a-zA-Z0-9_-]{1,64}$/;

const toolKeys = z.strictObject({
  description: z.string().min(1).max(10_000).optional(),
  input: z.custom<Json>((value) => value !== null).optional(),
});

export interface ToolIssue {
  readonly path: readonly string[];
  readonly message: string;
}

/** `tools:` of a definition: names to `{description, input}`, in the order in which they are sent. */
export function parseTools(written: JsonObject): { tools: Tool[]; issues: ToolIssue[] } {
  const tools: Tool[] = [];
  const issues: ToolIssue[] = [];
  for (const [name, value] of Object.entries(written)) {
    const keys = toolKeys.safeParse(value);
    if (!toolNamePattern.test(name)) {
      const message = 'The name of a tool has letters, digits, `_` and `-`, at most 64.';
      issues.push({ path: [name], message });
    } else if (!keys.success) {
      const message = `The tool \`${name}\` is a mapping with \`description\` (text) and \`input\` (a schema).`;
      issues.push({ path: [name], message });
    } else {
      const { schema, faults } = readInput(keys.data.input ?? {});
      issues.push(...faults.map(({ path, message }) => ({ path: [name, 'input', ...path], message })));
      tools.push({ name, description: keys.data.description ?? null, inputSchema: schema });
    }
  }
  return { tools, issues };
}

function readInput(written: Json): { schema: JsonObject; faults: ToolIssue[] } {
  const { schema, issues } = parsePicoschema(written);
  if (issues.length > 0) return { schema, faults: issues.map(({ path, message }) => ({ path, message })) };
  if (schema.type !== 'object') {
    return { schema, faults: [{ path: [], message: 'The input of a tool maps names to types.' }] };
  }
  try {
    compileSchema(schema).prove();
    return { schema, faults: [] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be compiled';
    return { schema, faults: [{ path: [], message: `The schema is not valid JSON Schema: ${reason}.` }] };
  }
}

/** Calls and results of tools that the definition does not declare have no place in its conversation. */
export function refuseUndeclaredTools(tools: readonly Tool[], history: readonly Message[]): void {
  const declared = new Set(tools.map(({ name }) => name));
  for (const [index, { role, toolCalls = [] }] of history.entries()) {
    const stranger = toolCalls.find(({ name }) => !declared.has(name));
    if (!stranger && (role !== 'tool' || declared.size > 0)) continue;
    const path = `messages[${index}]`;
    const message = `speaks of a tool that the definition does not declare; it declares: ${[...declared].join(', ') || 'none'}`;
    throw new PromptgateError('invalid_request', `${path} ${message}.`, { issues: [{ path, message }] });
  }
}
