/**
 * Prompts of other tools as definitions: the format is seen from the content, one converter per format makes drafts,
 * and only what `parseDefinition` accepts leaves this file.
 */
import { parse as parseYaml } from 'yaml';
import { DefinitionError, parseDefinition } from './definition.ts';
import { type Issue, PromptgateError } from './errors.ts';
import { maxDescriptionLength, toDefinitionForm, toPromptName } from './import-definition.ts';
import { type ImportDraft, type ImportFormat, isJsonObject } from './import-draft.ts';
import { importGithub, looksLikeGithub } from './import-github.ts';
import { importLangfuse, looksLikeLangfuse } from './import-langfuse.ts';
import { importOpenai, looksLikeOpenai } from './import-openai.ts';
import { importPromptfoo, looksLikePromptfoo } from './import-promptfoo.ts';
import { importText } from './import-text.ts';
import type { Json } from './json.ts';
import { writeDefinition } from './write-definition.ts';

export interface ImportRequest {
  readonly text: string;
  /** Name for a prompt that has none itself, e.g. the file's. */
  readonly fallbackName: string;
  /** Model for a prompt that names none. */
  readonly fallbackModel: string;
  /** Seen from the content when left out. */
  readonly format?: ImportFormat | undefined;
  /** Instead of the name that the source has. */
  readonly name?: string | undefined;
  /** Number of the version that the prompt of this name gets. */
  readonly versionOf: (name: string) => number;
}

export interface ImportedPrompt {
  readonly format: ImportFormat;
  readonly name: string;
  readonly version: number;
  /** Text of the definition; null when `issues` says why there is none. */
  readonly source: string | null;
  readonly checksum: string | null;
  readonly notCarried: readonly Issue[];
  readonly issues: readonly Issue[];
  readonly warnings: readonly Issue[];
}

const maxLength = 10 * 1_048_576;

/** @throws PromptgateError invalid_request — the text cannot be what the format says */
export function importPrompts(request: ImportRequest): ImportedPrompt[] {
  if (request.text.length > maxLength) throw new PromptgateError('invalid_request', 'The file is too large.');
  const text = readCurl(request.text.replace(/^\uFEFF/, ''));
  const data = readData(text);
  const format = request.format ?? detectFormat(data, text);
  const drafts = convert(format, data?.value, text);
  return drafts.map((draft, index) => {
    const suffix = drafts.length > 1 ? `-${index + 1}` : '';
    const wanted =
      request.name === undefined
        ? (draft.name ?? `${request.fallbackName}${suffix}`)
        : `${request.name}${suffix}`;
    return finish(draft, wanted, request);
  });
}

function detectFormat(data: Data | undefined, text: string): ImportFormat {
  if (data === undefined) {
    refuseCode(text);
    return 'text';
  }
  const { value, json } = data;
  if (looksLikePromptfoo(value)) return 'promptfoo';
  if (looksLikeGithub(value)) return 'github';
  if (looksLikeLangfuse(value)) return 'langfuse';
  if (looksLikeOpenai(value)) return json ? 'openai' : 'github';
  // `Question: {{question}}` is YAML by accident.
  if (!json) return 'text';
  const known = 'OpenAI, Langfuse, promptfoo and GitHub Models';
  throw new PromptgateError(
    'invalid_request',
    `This is JSON, but no prompt of ${known}. Say --format text to take it as the text of a prompt.`,
  );
}

function convert(format: ImportFormat, value: Json | undefined, text: string): ImportDraft[] {
  if (format === 'text') return importText(text);
  if (format === 'promptfoo') return importPromptfoo(value, text);
  if (value === undefined) {
    throw new PromptgateError('invalid_request', `The file is not JSON or YAML, as ${format} writes it.`);
  }
  if (format === 'openai') return importOpenai(value);
  return format === 'langfuse' ? importLangfuse(value) : importGithub(value);
}

/** The body of a request that was copied as a curl command; any other text as it is. */
function readCurl(text: string): string {
  if (!/^\s*curl\s/.test(text)) return text;
  const [, body] = /\s(?:-d|--json|--data(?:-raw|-binary)?)\s+'((?:[^']|'\\'')*)'/.exec(text) ?? [];
  return body?.replaceAll("'\\''", "'") ?? text;
}

/** The dashboard also copies code that calls a prompt by its id: there is no prompt in it. */
function refuseCode(text: string): void {
  const id = /\bresponses\.create\(/.test(text) ? /\bpmpt_\w+/.exec(text)?.[0] : undefined;
  if (id === undefined) return;
  throw new PromptgateError(
    'invalid_request',
    `This is code that calls ${id}, without its text: copy the messages of the prompt as JSON instead.`,
  );
}

interface Data {
  readonly value: Json;
  readonly json: boolean;
}

/** JSON or YAML that holds a mapping or a list of mappings; undefined for everything else, which is text. */
function readData(text: string): Data | undefined {
  try {
    const json = /^\s*[[{]/.test(text);
    const value = (json ? JSON.parse(text) : parseYaml(text, { logLevel: 'error' })) as Json;
    const members = Array.isArray(value) ? value : [value];
    return members.length > 0 && members.every(isJsonObject) ? { value, json } : undefined;
  } catch {
    return undefined;
  }
}

function finish(draft: ImportDraft, wanted: string, request: ImportRequest): ImportedPrompt {
  const name = toPromptName(wanted);
  const version = request.versionOf(name);
  const notCarried = [...draft.notCarried];
  if (name !== wanted) notCarried.unshift({ path: 'name', message: `\`${wanted}\` became \`${name}\`` });
  if ((draft.description?.length ?? 0) > maxDescriptionLength) {
    const message = `it is cut after ${maxDescriptionLength} characters`;
    notCarried.push({ path: 'description', message });
  }
  if (draft.model === undefined) {
    notCarried.push({
      path: 'model',
      message: `there is none to carry: ${request.fallbackModel} is written`,
    });
  }
  const result = { format: draft.format, name, version, notCarried };
  if (draft.issues.length > 0) {
    return { ...result, source: null, checksum: null, issues: draft.issues, warnings: [] };
  }
  const model = draft.model ?? request.fallbackModel;
  const source = writeDefinition(toDefinitionForm(draft, { name, version, model }));
  try {
    const { checksum, warnings } = parseDefinition(source, { path: `${name}.prompt` });
    return { ...result, source, checksum, issues: [], warnings };
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return { ...result, source: null, checksum: null, issues: error.issues, warnings: [] };
  }
}
