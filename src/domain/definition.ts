/**
 * A definition file as a version: front matter and template, parsed, checked and compiled once. The source and the
 * texts of its partials are enough to build it again, so this is also how a stored version becomes runnable.
 */
import { hashJson } from './canonical-json.ts';
import {
  DefinitionError,
  type DefinitionIssue,
  findSourceIssue,
  normaliseSource,
  SourceText,
} from './definition-error.ts';
import { type DefinitionValues, readKeys, toMilliseconds } from './definition-keys.ts';
import { type FrontMatter, parseFrontMatter } from './front-matter.ts';
import type { Json, JsonObject } from './json.ts';
import { compileSchema } from './json-schema.ts';
import { type Message, type RenderedMessage, toSent } from './message.ts';
import { compileOutput, type ValidateOutput } from './output.ts';
import { type Overridable, parseOverridable, toOverridableSchema } from './overridable.ts';
import { parsePicoschema, type SchemaResult } from './picoschema.ts';
import type { NewPromptVersion, Parameters } from './prompt-version.ts';
import type { TemplateForm } from './template.ts';
import { parseTemplate } from './template-ast.ts';
import { compileTemplate } from './template-compiler.ts';
import { partialsFrom } from './template-includes.ts';
import { createTemplate, invalidVariables, type Template } from './template-renderer.ts';
import { parseTools, refuseUndeclaredTools, type Tool } from './tool.ts';
import { closeInputSchema, compileVariables, type ValidateVariables, withoutRequired } from './variables.ts';

export { DefinitionError, type DefinitionIssue, normaliseSource } from './definition-error.ts';

/** What the source determines of a version, and the compiled parts that run it. */
export interface Definition extends Omit<NewPromptVersion, 'path' | 'gitCommit' | 'gitMessage'> {
  readonly template: Template;
  readonly validateVariables: ValidateVariables;
  readonly validateOutput: ValidateOutput;
  readonly acceptsHistory: boolean;
  /** What callers may decide in place of this definition. */
  readonly overridable: Overridable;
  /** Values that fill in for variables that a caller leaves out. */
  readonly defaults: JsonObject;
  /** Whether the same input is to get the same answer; null: not said, and then temperature 0 says it. */
  readonly deterministic: boolean | null;
  /** Why this version breaks the contract of the one before, when the author says that it does. */
  readonly breaking: string | null;
  /** Nothing that stops the definition: variables that are never used, optional ones used without `{{#if}}`. */
  readonly warnings: readonly DefinitionIssue[];
}

export interface ParseOptions {
  /** What issues call the file. */
  readonly path: string;
  /** Text of a partial by name; undefined when there is none. */
  readonly partial?: (name: string) => string | undefined;
}

/** Throws a DefinitionError that lists every problem found, with line and column. */
export function parseDefinition(text: string, options: ParseOptions): Definition {
  const source = new SourceText(options.path, normaliseSource(text));
  const unreadable = findSourceIssue(source);
  if (unreadable !== undefined) throw new DefinitionError([unreadable]);
  const frontMatter = parseFrontMatter(source);
  // Without its front matter the rest would only report what follows from that.
  if (frontMatter.issues.length > 0) throw new DefinitionError(frontMatter.issues);

  const issues: DefinitionIssue[] = [];
  const values = readKeys(frontMatter, issues);
  const defaults = (values.input.default ?? {}) as JsonObject;
  const before = issues.length;
  const input = readInputSchema(values, frontMatter, issues);
  const inputSchema = input.schema;
  const validateVariables =
    issues.length === before ? checkInput(input, defaults, frontMatter, issues) : undefined;
  const outputSchema = readOutputSchema(values, frontMatter, issues);
  const { tools, issues: toolIssues } = parseTools(values.top.tools ?? {});
  issues.push(...toolIssues.map(({ path, message }) => frontMatter.issueAt(['tools', ...path], message)));
  const { overridable, issues: overridableIssues } = parseOverridable(values.top.overridable ?? {});
  for (const { path, message, part } of overridableIssues) {
    issues.push(frontMatter.issueAt(['overridable', ...path], message, part));
  }
  const compiled = compileTemplate({
    body: frontMatter.body,
    // A schema that is wrong declares anything: the template is then checked for everything else.
    inputSchema: validateVariables === undefined ? {} : inputSchema,
    defaulted: new Set(Object.keys(defaults)),
    partial: options.partial ?? (() => undefined),
  });
  issues.push(...compiled.issues);
  const { name, version, model } = values.top;
  if (issues.length > 0 || !name || !version || !model || !validateVariables)
    throw new DefinitionError(issues);

  const parameters = toParameters(values);
  const outputFormat = values.output.format ?? (outputSchema === null ? 'text' : 'json');
  const deterministic = values.top.deterministic ?? null;
  const template = createTemplate(compiled.form);
  return {
    name,
    version,
    model,
    parameters,
    messages: compiled.written,
    inputSchema,
    outputFormat,
    outputSchema,
    checksum: toChecksum({
      model,
      parameters,
      inputSchema,
      defaults,
      outputFormat,
      outputSchema,
      tools,
      overridable,
      deterministic,
      form: compiled.form,
    }),
    description: values.top.description ?? null,
    author: values.top.author ?? null,
    source: source.text,
    partials: compiled.partials,
    metadata: values.top.metadata ?? {},
    template,
    validateVariables,
    validateOutput: compileOutput(outputFormat, outputSchema && compileSchema(outputSchema)),
    acceptsHistory: template.acceptsHistory,
    tools,
    overridable,
    defaults,
    deterministic,
    breaking: values.top.breaking ?? null,
    warnings: [
      ...compiled.warnings,
      ...findUnused(values, inputSchema, compiled.used, frontMatter),
      ...findWavering(values, frontMatter),
    ],
  };
}

export interface RenderedPrompt {
  readonly messages: RenderedMessage[];
  /** What was rendered: the caller's variables with the defaults filled in. */
  readonly variables: JsonObject;
  /** Of the variables, whatever their key order. */
  readonly variablesHash: string;
  /** Of the roles and contents of the messages, as sent. */
  readonly renderedHash: string;
}

/**
 * Variables and the caller's messages to what is sent. Throws `invalid_variables` with an issue for each problem, or
 * `invalid_request` for messages that the prompt does not take. No message of an error repeats a value.
 */
export function renderPrompt(
  definition: Definition,
  variables: unknown,
  history: readonly Message[] = [],
): RenderedPrompt {
  const checked = definition.validateVariables(variables);
  if (!checked.valid) throw invalidVariables(checked.issues);
  refuseUndeclaredTools(definition.tools, history);
  const messages = definition.template.render(checked.variables, history);
  return {
    messages,
    variables: checked.variables,
    variablesHash: hashJson(checked.variables),
    renderedHash: hashJson(messages.map(toSent)),
  };
}

/** What can be known of a text that need not parse. The checksum is undefined where it does not, with these partials. */
export function readIdentity(
  text: string,
  partials: Readonly<Record<string, string>> = {},
): { name?: string; version?: number; checksum?: string } {
  const { name, version } = parseFrontMatter(new SourceText('', normaliseSource(text))).value;
  if (typeof name !== 'string' || typeof version !== 'number') return {};
  try {
    const { checksum } = parseDefinition(text, { path: '', partial: partialsFrom(partials) });
    return { name, version, checksum };
  } catch {
    return { name, version };
  }
}

/** What is wrong with a partial by itself, whoever includes it. */
export function findPartialIssue(path: string, text: string): DefinitionIssue | undefined {
  const source = new SourceText(path, normaliseSource(text));
  const parsed = findSourceIssue(source) ?? parseTemplate(source);
  return 'message' in parsed ? parsed : undefined;
}

/** An issue at a key of the front matter of a definition that parses. */
export function locateKey(path: string, text: string, key: string, message: string): DefinitionIssue {
  return parseFrontMatter(new SourceText(path, normaliseSource(text))).issueAt([key], message, 'key');
}

function readInputSchema(
  values: DefinitionValues,
  frontMatter: FrontMatter,
  issues: DefinitionIssue[],
): ReadSchema {
  const written = values.input.schema ?? {};
  const at = { path: ['input', 'schema'], media: true };
  const { schema, converted } = readSchema(written, at, frontMatter, issues);
  if (schema.type !== 'object') {
    const message = 'The input schema maps names to types, e.g. { text: string }.';
    issues.push(frontMatter.issueAt(['input', 'schema'], message));
  }
  return { schema: closeInputSchema(schema), converted };
}

function readOutputSchema(
  values: DefinitionValues,
  frontMatter: FrontMatter,
  issues: DefinitionIssue[],
): JsonObject | null {
  const written = values.output.schema;
  if (written === undefined) return null;
  const path = ['output', 'schema'];
  const before = issues.length;
  const { schema, converted } = readSchema(written, { path, media: false }, frontMatter, issues);
  if (values.output.format === 'text') {
    issues.push(frontMatter.issueAt(path, 'An output with a schema has `format: json`.', 'key'));
  }
  if (issues.length === before && !converted) {
    attempt(() => compileSchema(schema).prove(), path, frontMatter, issues);
  }
  return schema;
}

type ReadSchema = Pick<SchemaResult, 'schema' | 'converted'>;

function readSchema(
  written: Json,
  { path, media }: { readonly path: readonly string[]; readonly media: boolean },
  frontMatter: FrontMatter,
  issues: DefinitionIssue[],
): ReadSchema {
  const { issues: found, ...read } = parsePicoschema(written, { media });
  for (const issue of found) issues.push(frontMatter.issueAt([...path, ...issue.path], issue.message));
  return read;
}

/** The compiled check of the variables; undefined when the schema or a default is wrong. */
function checkInput(
  { schema, converted }: ReadSchema,
  defaults: JsonObject,
  frontMatter: FrontMatter,
  issues: DefinitionIssue[],
): ValidateVariables | undefined {
  return attempt(
    () => {
      const compiled = compileSchema(schema, { media: true });
      if (!converted) compiled.prove();
      const filled = Object.keys(defaults).length > 0;
      for (const issue of filled
        ? compileSchema(withoutRequired(schema), { media: true }).validate(defaults, '')
        : []) {
        const name = /^[^.[]+/.exec(issue.path)?.[0];
        const path = ['input', 'default', ...(name === undefined ? [] : [name])];
        issues.push(
          frontMatter.issueAt(path, `The default of \`${issue.path}\` does not fit: ${issue.message}.`),
        );
      }
      return compileVariables(compiled, defaults);
    },
    ['input', 'schema'],
    frontMatter,
    issues,
  );
}

function attempt<T>(
  compile: () => T,
  path: readonly string[],
  frontMatter: FrontMatter,
  issues: DefinitionIssue[],
): T | undefined {
  try {
    return compile();
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be compiled';
    // Ajv names the place inside the schema, if at all, in its text: `data/properties/text/type must be …`.
    const [, pointer = '', fault = reason] =
      /^schema is invalid: data(\S*) (.*?)(?:, data|$)/s.exec(reason) ?? [];
    const inner = pointer.split('/').slice(1);
    issues.push(frontMatter.issueAt([...path, ...inner], `The schema is not valid JSON Schema: ${fault}.`));
    return undefined;
  }
}

function toParameters(values: DefinitionValues): Parameters {
  const { timeout, ...parameters } = values.config;
  const timeoutMs = timeout === undefined ? undefined : toMilliseconds(timeout);
  return (timeoutMs === undefined ? parameters : { ...parameters, timeoutMs }) as Parameters;
}

interface ChecksumParts {
  readonly model: string;
  readonly parameters: Parameters;
  readonly inputSchema: JsonObject;
  readonly defaults: JsonObject;
  readonly outputFormat: string;
  readonly outputSchema: JsonObject | null;
  readonly tools: readonly Tool[];
  readonly overridable: Overridable;
  readonly deterministic: boolean | null;
  readonly form: TemplateForm;
}

/**
 * SHA-256 over what is sent and how it is checked: model, parameters, input schema and defaults, output format and
 * schema, tools, what callers may override, whether answers are to be the same each time, and the compiled template with its partials inlined. Not over name, version, description, breaking, author, metadata,
 * comments, key order, line ends, BOM, and white space that is trimmed away. The order of keys counts where it reaches
 * the model: in the output schema, and inside a default value that `{{json}}` or `{{#each}}` may write out.
 * `format` is the version of this recipe: a change to it gives every definition a new checksum.
 */
function toChecksum(all: ChecksumParts): string {
  const { inputSchema, defaults, outputSchema, tools, overridable, deterministic, ...parts } = all;
  return hashJson({
    format: 1,
    ...parts,
    // Left out where there are none: definitions without one of them keep the checksum that they had before there were any.
    ...(tools.length === 0 ? {} : { tools: JSON.stringify(tools) }),
    ...(Object.keys(overridable).length === 0 ? {} : { overridable: toOverridableSchema(overridable) }),
    ...(deterministic === null ? {} : { deterministic }),
    inputSchema: sortRequired(inputSchema),
    defaults: Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
    outputSchema: outputSchema === null ? null : JSON.stringify(outputSchema),
  });
}

/** `required` is a set: Picoschema lists it in the order of the fields, which means nothing. */
function sortRequired(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(sortRequired);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      const isNames =
        key === 'required' && Array.isArray(value) && value.every((name) => typeof name === 'string');
      return [key, isNames ? value.toSorted() : sortRequired(value)];
    }),
  );
}

function findUnused(
  values: DefinitionValues,
  schema: JsonObject,
  used: ReadonlySet<string>,
  frontMatter: FrontMatter,
): DefinitionIssue[] {
  const declared = Object.keys((schema.properties as JsonObject | undefined) ?? {});
  const written = values.input.schema as JsonObject | undefined;
  return declared
    .filter((name) => !used.has(name))
    .map((name) => {
      const key = Object.keys(written ?? {}).find(
        (field) => /^\s*([^(?]*)/.exec(field)?.[1]?.trim() === name,
      );
      const path = key === undefined ? ['properties', name] : [key];
      const message = `The variable \`${name}\` is declared and never used.`;
      return frontMatter.issueAt(['input', 'schema', ...path], message, 'key');
    });
}

/** Who samples on purpose may still declare it, but will hear of drift that is none. */
function findWavering({ top, config }: DefinitionValues, frontMatter: FrontMatter): DefinitionIssue[] {
  const { temperature = 0 } = config;
  if (!top.deterministic || temperature === 0) return [];
  const message = `The answers are declared deterministic, and \`config.temperature\` is ${temperature}: at 0 they may be.`;
  return [frontMatter.issueAt(['deterministic'], message)];
}
