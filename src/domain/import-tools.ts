/** Tools of other tools' requests: functions in the shapes of Chat Completions, Responses and Anthropic Messages. */
import { type ImportDraft, isJsonObject, leaveRest, textOf } from './import-draft.ts';
import type { Json, JsonObject } from './json.ts';
import { parseTools } from './tool.ts';

/** Carries `tools`, and `functions`, which they replaced. @returns the keys that were read */
export function carryTools(source: JsonObject, base: string, draft: ImportDraft): string[] {
  const read = ['tools', 'functions'].filter((key) => Array.isArray(source[key]));
  for (const key of read) {
    const path = base === '' ? key : `${base}.${key}`;
    for (const [index, tool] of (source[key] as Json[]).entries())
      carryTool(tool, `${path}[${index}]`, draft);
  }
  return read;
}

function carryTool(tool: Json, path: string, draft: ImportDraft): void {
  const leave = (message: string) => draft.notCarried.push({ path, message });
  const said = isJsonObject(tool) && isJsonObject(tool.function) ? tool.function : tool;
  if (!isJsonObject(tool) || !isJsonObject(said) || typeof said.name !== 'string') {
    leave('a definition declares functions, which the caller runs, and no others');
    return;
  }
  const description = textOf(said, 'description');
  const schema = said.parameters ?? said.input_schema;
  const written: JsonObject = {
    ...(description === undefined ? {} : { description }),
    ...(isJsonObject(schema) && Object.keys(schema).length > 0 ? { input: schema } : {}),
  };
  const [issue] = parseTools({ [said.name]: written }).issues;
  if (issue !== undefined) {
    leave(issue.message);
    return;
  }
  if (Object.hasOwn(draft.tools, said.name)) leave(`there is another tool \`${said.name}\` before it`);
  else draft.tools[said.name] = written;
  leaveRest(said, ['type', 'name', 'description', 'parameters', 'input_schema'], path, draft);
  if (said !== tool) leaveRest(tool, ['type', 'function'], path, draft);
}
