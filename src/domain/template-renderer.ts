/**
 * One pass from variables to messages. The steps are built once per version; a value is copied to the output and never
 * looked at again, so nothing that it contains can become a role, a message or a part of the template.
 */
import { type Issue, PromptgateError } from './errors.ts';
import { checkHistory, fromHistory } from './history.ts';
import type { Json, JsonObject } from './json.ts';
import { appendPart, jsonKind } from './json-path.ts';
import { type MediaKind, type MediaPart, readMedia } from './media.ts';
import type { ContentPart, Message, RenderedMessage, Role, Span } from './message.ts';
import type { Operand, TemplateForm, TemplateNode, ValueOperand } from './template.ts';
import { createNamer, createReader, type Loop } from './template-operand.ts';

/** More than any model reads; bounds what loops inside loops can make of a small request. */
const maxContentLength = 16 * 1_048_576;
const maxIterations = 1_000_000;
/** More than any model takes; bounds what a loop can make of one image. */
const maxMediaParts = 100;
const maxMediaLength = 64 * 1_048_576;
const maxIssues = 20;

interface Rendering {
  readonly variables: JsonObject;
  readonly loops: Loop[];
  readonly issues: Issue[];
  content: string;
  spans: Span[];
  /** Of the message so far, up to its latest image or file; `content` and `spans` are of what follows it. */
  parts: ContentPart[];
  partSpans: Span[];
  iterations: number;
  mediaParts: number;
  mediaLength: number;
}

type Step = (rendering: Rendering) => void;

export interface Template {
  /** True when the definition has a place for the caller's messages. */
  readonly acceptsHistory: boolean;
  /** Valid variables to messages; throws `invalid_variables` or `invalid_request`, whose messages hold no value. */
  render(variables: JsonObject, history?: readonly Message[]): RenderedMessage[];
}

export function createTemplate(form: TemplateForm): Template {
  const parts = form.map((part) => ('history' in part ? 'history' : createMessage(part.role, part.nodes)));
  const acceptsHistory = parts.includes('history');

  return {
    acceptsHistory,
    render(variables, history = []) {
      checkHistory(history, acceptsHistory);
      const rendering: Rendering = {
        variables,
        loops: [],
        issues: [],
        content: '',
        spans: [],
        parts: [],
        partSpans: [],
        iterations: 0,
        mediaParts: 0,
        mediaLength: 0,
      };
      const messages: RenderedMessage[] = [];
      for (const part of parts) {
        if (typeof part === 'function') messages.push(part(rendering, messages.length));
        else for (const message of history) messages.push(fromHistory(message));
      }
      if (rendering.issues.length > 0) throw invalidVariables(rendering.issues);
      if (acceptsHistory && messages.every(({ role }) => role === 'system')) {
        throw new PromptgateError('invalid_request', 'The prompt continues a conversation: send `messages`.');
      }
      return messages;
    },
  };
}

/** The error for variables that do not fit; its message names the first problem. */
export function invalidVariables(issues: readonly Issue[]): PromptgateError {
  const [first] = issues;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  return new PromptgateError('invalid_variables', `${first?.path}: ${first?.message}${more}`, { issues });
}

function createMessage(role: Role, nodes: readonly TemplateNode[]) {
  const steps = nodes.map(createStep);
  return (rendering: Rendering, index: number): RenderedMessage => {
    rendering.content = '';
    rendering.spans = [];
    rendering.parts = [];
    rendering.partSpans = [];
    for (const step of steps) step(rendering);
    if (rendering.parts.length > 0) {
      endPart(rendering);
      return { role, content: rendering.parts, origin: 'template', spans: rendering.partSpans };
    }
    const { content, spans } = trimLayout(rendering);
    if (role !== 'system' && rendering.issues.length === 0 && content.trim() === '') {
      report(rendering, 'variables', `leave message ${index + 1} (${role}) empty`);
    }
    return { role, content, origin: 'template', spans };
  };
}

/** The text since the last image or file becomes a part of its own, where there is any. */
function endPart(rendering: Rendering): void {
  const { content, spans } = trimLayout(rendering);
  rendering.content = '';
  rendering.spans = [];
  if (content === '') return;
  const part = rendering.parts.length;
  rendering.parts.push({ type: 'text', text: content });
  rendering.partSpans.push(...spans.map((span) => ({ ...span, part })));
}

/** White space at the ends that no value brought, such as the line break before a block that was left out. */
function trimLayout({ content, spans }: Rendering): { content: string; spans: Span[] } {
  const end = Math.max(content.trimEnd().length, spans.at(-1)?.end ?? 0);
  const start = Math.min(content.length - content.trimStart().length, spans[0]?.start ?? end, end);
  if (start === 0) return { content: content.slice(0, end), spans };
  const moved = spans.map((span) => ({ ...span, start: span.start - start, end: span.end - start }));
  return { content: content.slice(start, end), spans: moved };
}

function createStep(node: TemplateNode): Step {
  if (typeof node === 'string') {
    return (rendering) => {
      rendering.content += node;
    };
  }
  if ('value' in node) return createValue(node.value);
  if ('json' in node) return createJson(node.json, node.indent);
  if ('media' in node) return createMedia(node.media, node.kind);
  if ('if' in node) return createIf(node.if, node.yes.map(createStep), node.no.map(createStep));
  return createEach(node.each, node.body.map(createStep), node.none.map(createStep));
}

function createValue(operand: Operand): Step {
  const read = createReader(operand);
  const name = createNamer(operand);
  return (rendering) => {
    const value = read(rendering);
    switch (typeof value) {
      case 'string':
        return write(rendering, value, name(rendering));
      case 'number':
      case 'boolean':
        return write(rendering, JSON.stringify(value), name(rendering));
      default:
        reportValue(rendering, name(rendering), value);
    }
  };
}

function createJson(operand: Operand, indent: number): Step {
  const read = createReader(operand);
  const name = createNamer(operand);
  return (rendering) => {
    const value = read(rendering);
    if (value === undefined || value === null) return reportValue(rendering, name(rendering), value);
    write(rendering, JSON.stringify(value, null, indent), name(rendering));
  };
}

/** One part, whatever the value: it has no say in where it stands, in the role or in the text around it. */
function createMedia(operand: ValueOperand, kind: MediaKind): Step {
  const read = createReader(operand);
  const name = createNamer(operand);
  return (rendering) => {
    const value = read(rendering);
    const variable = name(rendering);
    if (value === undefined || value === null) return reportValue(rendering, variable, value);
    const media = readMedia(value, kind);
    if ('fault' in media) return report(rendering, `variables.${variable}`, media.fault);
    rendering.mediaParts += 1;
    rendering.mediaLength += lengthOf(media.part);
    if (rendering.mediaParts > maxMediaParts || rendering.mediaLength > maxMediaLength) {
      return report(rendering, `variables.${variable}`, 'makes too many images and files, or too large ones');
    }
    endPart(rendering);
    rendering.partSpans.push({ start: 0, end: 0, variable, part: rendering.parts.length });
    rendering.parts.push(media.part);
  };
}

function lengthOf({ source }: MediaPart): number {
  return 'data' in source ? source.data.length : 0;
}

function createIf(operand: Operand, positive: readonly Step[], negative: readonly Step[]): Step {
  const read = createReader(operand);
  return (rendering) => {
    const steps = isTruthy(read(rendering)) ? positive : negative;
    for (const step of steps) step(rendering);
  };
}

/** As Handlebars: false, 0, '', null, a missing value and an empty list are false; an empty object is true. */
function isTruthy(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function createEach(operand: ValueOperand, body: readonly Step[], otherwise: readonly Step[]): Step {
  const read = createReader(operand);
  const name = createNamer(operand);
  return (rendering) => {
    const list = read(rendering);
    if (list !== undefined && list !== null && typeof list !== 'object') {
      return report(
        rendering,
        `variables.${name(rendering)}`,
        `expected array or object, got ${jsonKind(list)}`,
      );
    }
    const entries: readonly (readonly [string | number, Json])[] = Array.isArray(list)
      ? list.map((item, index) => [index, item])
      : Object.entries(list ?? {});
    if (entries.length === 0) for (const step of otherwise) step(rendering);
    else iterate(rendering, entries, name(rendering), body);
  };
}

function iterate(
  rendering: Rendering,
  entries: readonly (readonly [string | number, Json])[],
  path: string,
  body: readonly Step[],
): void {
  const loop: Loop = { item: null, key: 0, path: '', first: true, last: false, index: 0 };
  rendering.loops.push(loop);
  for (const [key, item] of entries) {
    if (isOverBudget(rendering)) break;
    loop.item = item;
    loop.key = key;
    loop.path = appendPart(path, key);
    loop.first = loop.index === 0;
    loop.last = loop.index === entries.length - 1;
    for (const step of body) step(rendering);
    loop.index++;
  }
  rendering.loops.pop();
}

function isOverBudget(rendering: Rendering): boolean {
  const over = ++rendering.iterations > maxIterations || rendering.content.length > maxContentLength;
  if (over) report(rendering, 'variables', 'make the prompt too long');
  return over;
}

function write(rendering: Rendering, text: string, variable: string): void {
  const start = rendering.content.length;
  rendering.content += text;
  rendering.spans.push({ start, end: start + text.length, variable });
}

function reportValue(rendering: Rendering, name: string, value: Json | undefined): void {
  const path = `variables.${name}`;
  if (value === undefined) report(rendering, path, 'is missing');
  else if (value === null) report(rendering, path, 'is null where the prompt needs a value');
  else report(rendering, path, `expected string, number or boolean, got ${jsonKind(value)}`);
}

function report(rendering: Rendering, path: string, message: string): void {
  if (rendering.issues.length < maxIssues) rendering.issues.push({ path, message });
}
