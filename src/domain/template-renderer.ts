/**
 * One pass from variables to messages. The steps are built once per version; a value is copied to the output and never
 * looked at again, so nothing that it contains can become a role, a message or a part of the template.
 */
import { type Issue, PromptgateError } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { appendPart, formatPath, jsonKind } from './json-path.ts';
import type { Message, RenderedMessage, Role, Span } from './message.ts';
import type { Operand, TemplateForm, TemplateNode, ValueOperand } from './template.ts';
import { parseArguments } from './tool.ts';
import { isWritable } from './writable-text.ts';

/** More than any model reads; bounds what loops inside loops can make of a small request. */
const maxContentLength = 16 * 1_048_576;
const maxIterations = 1_000_000;
const maxIssues = 20;

interface Loop {
  item: Json;
  key: string | number;
  path: string;
  first: boolean;
  last: boolean;
  index: number;
}

interface Rendering {
  readonly variables: JsonObject;
  readonly loops: Loop[];
  readonly issues: Issue[];
  content: string;
  spans: Span[];
  iterations: number;
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
        iterations: 0,
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
    for (const step of steps) step(rendering);
    const { content, spans } = trimLayout(rendering);
    if (role !== 'system' && rendering.issues.length === 0 && content.trim() === '') {
      report(rendering, 'variables', `leave message ${index + 1} (${role}) empty`);
    }
    return { role, content, origin: 'template', spans };
  };
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

function createReader(operand: Operand): (rendering: Rendering) => Json | undefined {
  const slot = operand.loop - 1;
  if ('data' in operand) {
    const { data } = operand;
    return (rendering) => rendering.loops[slot]![data];
  }
  const { parts } = operand;
  const only = parts[0];
  if (slot < 0 && parts.length === 1 && only !== undefined) {
    return (rendering) => (Object.hasOwn(rendering.variables, only) ? rendering.variables[only] : undefined);
  }
  return (rendering) => {
    let value: Json | undefined = slot < 0 ? rendering.variables : rendering.loops[slot]!.item;
    for (const part of parts) value = memberOf(value, part);
    return value;
  };
}

/** An own member; a list has its items and, unlike in JavaScript, nothing else. */
function memberOf(value: Json | undefined, part: string): Json | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return /^\d+$/.test(part) ? value[Number(part)] : undefined;
  return Object.hasOwn(value, part) ? value[part] : undefined;
}

/** Path of the operand's value, as spans and issues show it. */
function createNamer(operand: Operand): (rendering: Rendering) => string {
  const slot = operand.loop - 1;
  if ('data' in operand) return (rendering) => `${rendering.loops[slot]!.path}@${operand.data}`;
  const parts = operand.parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const whole = formatPath(parts);
  if (slot < 0) return () => whole;
  if (parts.length === 0) return (rendering) => rendering.loops[slot]!.path;
  return (rendering) => formatPath(parts, rendering.loops[slot]!.path);
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

function fromHistory(message: Message): RenderedMessage {
  return { ...message, origin: 'history', spans: [] };
}

/** A caller brings turns of a conversation; instructions are the definition's alone. */
function checkHistory(history: readonly Message[], accepted: boolean): void {
  if (history.length === 0) return;
  if (!accepted) {
    const message = 'The prompt takes no `messages`: its template has no {{history}}.';
    throw new PromptgateError('invalid_request', message, { issues: [{ path: 'messages', message }] });
  }
  const issues: Issue[] = [];
  for (const [index, message] of history.entries()) {
    const fault = historyFault(message);
    if (fault !== undefined && issues.length < maxIssues) {
      issues.push({ path: `messages[${index}].${fault.member}`, message: fault.message });
    }
  }
  if (issues.length === 0) return;
  const summary = `${issues[0]!.path}: ${issues[0]!.message}`;
  throw new PromptgateError('invalid_request', summary, { issues });
}

function historyFault(message: Message): { member: string; message: string } | undefined {
  if (message.role === 'system') {
    return {
      member: 'role',
      message: 'must be user, assistant or tool; instructions belong to the definition',
    };
  }
  if (typeof message.content !== 'string') return { member: 'content', message: 'must be a string' };
  if (message.toolCalls?.some((call) => parseArguments(call.arguments) === undefined)) {
    return { member: 'tool_calls', message: 'has arguments that are not a JSON object' };
  }
  // A tool may have nothing to say, and an assistant that calls one too.
  const mayBeEmpty = message.role === 'tool' || message.toolCalls !== undefined;
  if (!mayBeEmpty && message.content.trim() === '') return { member: 'content', message: 'is empty' };
  if (!isWritable(message.content)) {
    return { member: 'content', message: 'contains a NUL character or half of a surrogate pair' };
  }
  return undefined;
}
