/**
 * Template text to its compiled form. Roles and the place of the history are fixed here, before any value exists; what
 * is not in the small language is refused with its position. `template-statements.ts` compiles what stands inside a
 * message, this file cuts the template into messages.
 */
import type { DefinitionIssue, SourceText } from './definition-error.ts';
import type { JsonObject } from './json.ts';
import type { Role } from './message.ts';
import { createSchemaReader } from './schema-view.ts';
import type { TemplateForm, TemplateNode, WrittenMessage } from './template.ts';
import { type Located, type Mustache, parseTemplate, type Statement } from './template-ast.ts';
import { createIncludes } from './template-includes.ts';
import { appendText, type CompileContext, compileStatement, isMustacheOf } from './template-statements.ts';

export interface TemplateSource {
  readonly body: SourceText;
  /** The input schema; its properties are the variables that the template may use. */
  readonly inputSchema: JsonObject;
  /** Names of the variables that have a default, and so are never missing. */
  readonly defaulted: ReadonlySet<string>;
  /** Text of a partial; undefined when there is none. */
  readonly partial: (name: string) => string | undefined;
}

export interface CompiledTemplate {
  readonly form: TemplateForm;
  readonly written: readonly WrittenMessage[];
  /** Text of every partial that is included, directly or not. */
  readonly partials: Readonly<Record<string, string>>;
  /** Variables that the template uses. */
  readonly used: ReadonlySet<string>;
  /** Problems; when there is one, the form is not to be used. */
  readonly issues: readonly DefinitionIssue[];
  readonly warnings: readonly DefinitionIssue[];
}

const roles: Readonly<Record<string, Role>> = {
  system: 'system',
  user: 'user',
  model: 'assistant',
  assistant: 'assistant',
};

interface Draft {
  readonly role: Role | 'history';
  readonly nodes: TemplateNode[];
  written: string;
  readonly empty: DefinitionIssue;
}

/** Never throws for what a template contains: every problem is in `issues`. */
export function compileTemplate(source: TemplateSource): CompiledTemplate {
  const issues: DefinitionIssue[] = [];
  const warnings: DefinitionIssue[] = [];
  const used = new Set<string>();
  const reader = createSchemaReader(source.inputSchema);
  const includes = createIncludes(source.partial, issues);
  const drafts: Draft[] = [];
  const context: CompileContext = {
    source: source.body,
    scope: { loop: 0, view: reader.root },
    depth: 0,
    guards: [],
    includes,
    reader,
    issues,
    warnings,
    used,
    defaulted: source.defaulted,
  };

  const parsed = parseTemplate(source.body);
  if ('message' in parsed) issues.push(parsed);
  else compileTop(parsed, context);
  finish();
  return {
    form: drafts.map(({ role, nodes }) => (role === 'history' ? { history: true } : { role, nodes })),
    written: drafts.map(({ role, written }) => ({ role, template: written.trim() })),
    partials: includes.used(),
    used,
    issues,
    warnings,
  };

  function compileTop(statements: readonly Statement[], at: CompileContext): void {
    for (const statement of statements) {
      if (statement.type === 'MustacheStatement' && isMustacheOf(statement, 'role')) {
        startMessage(statement, at);
      } else if (isHistory(statement)) {
        startHistory(statement, at);
      } else if (statement.type === 'PartialStatement') {
        compileInclude(statement, at);
      } else {
        append(statement, at);
      }
    }
  }

  function compileInclude(statement: Statement & { type: 'PartialStatement' }, at: CompileContext): void {
    const inner = includes.open(statement, at);
    if (inner === undefined) return;
    const hasMarkers = inner.statements.some(
      (part) => isHistory(part) || (part.type === 'MustacheStatement' && isMustacheOf(part, 'role')),
    );
    const before = drafts.at(-1);
    const writtenBefore = before?.written ?? '';
    if (statement.indent !== '') addNode(statement.indent, statement, at);
    compileTop(inner.statements, inner.context);
    includes.close(inner);
    const draft = drafts.at(-1);
    // A partial without markers is shown as its include; one with markers as the messages that it makes.
    if (!hasMarkers && draft !== undefined) {
      draft.written = (draft === before ? writtenBefore : '') + slice(statement, at.source);
    }
  }

  function startMessage(statement: Mustache, at: CompileContext): void {
    const param = statement.params[0];
    const name = param?.type === 'StringLiteral' ? String(param.value) : '';
    const role = Object.hasOwn(roles, name) ? roles[name] : undefined;
    if (role === undefined || statement.params.length !== 1 || statement.hash !== undefined) {
      report(statement, at, 'A role is one of {{role "system"}}, {{role "user"}} and {{role "model"}}.');
    }
    if (role === 'system' && drafts.some((draft) => draft.role !== 'system')) {
      report(statement, at, 'A system message stands before all others: move it to the top.');
    }
    open(role ?? 'user', statement, at);
  }

  function startHistory(statement: Statement, at: CompileContext): void {
    if (Object.hasOwn((source.inputSchema.properties as JsonObject | undefined) ?? {}, 'history')) {
      report(
        statement,
        at,
        '{{history}} is the place of the messages of the caller: write {{this.history}} for the variable.',
      );
    }
    if (drafts.some(({ role }) => role === 'history')) {
      report(statement, at, 'There is a second {{history}}: a prompt has at most one.');
    }
    open('history', statement, at);
    drafts.at(-1)!.written = slice(statement, at.source);
  }

  function open(role: Role | 'history', statement: Located, at: CompileContext): void {
    const message = 'This message is empty: write its text, or remove the role.';
    drafts.push({ role, nodes: [], written: '', empty: at.source.issueAt(statement.loc.start, message) });
  }

  function append(statement: Statement, at: CompileContext): void {
    const nodes = compileStatement(statement, at);
    if (nodes.length === 0 && drafts.length === 0) return;
    for (const node of nodes) addNode(node, statement, at);
    const draft = drafts.at(-1);
    if (draft !== undefined && draft.role !== 'history') draft.written += slice(statement, at.source);
  }

  function addNode(node: TemplateNode, statement: Statement, at: CompileContext): void {
    const blank = typeof node === 'string' && node.trim() === '';
    if (drafts.length === 0) {
      if (blank) return;
      open('user', statement, at);
    }
    const draft = drafts.at(-1)!;
    if ((draft.role === 'system' || draft.role === 'assistant') && holdsMedia(node)) {
      const message = 'Images and files stand in a message of the user: write {{role "user"}} before it.';
      report(statement, at, message);
    }
    if (draft.role !== 'history') appendText(draft.nodes, node);
    if (draft.role !== 'history' || blank) return;
    report(
      statement,
      at,
      'After {{history}} the next message says its role: write e.g. {{role "user"}} before it.',
    );
    open('user', statement, at);
    appendText(drafts.at(-1)!.nodes, node);
  }

  function finish(): void {
    for (const draft of drafts) {
      if (draft.role === 'history') continue;
      trimText(draft.nodes);
      if (draft.nodes.length === 0) issues.push(draft.empty);
    }
    if (issues.length > 0) return;
    if (drafts.length === 0) issues.push(source.body.issueAtOffset(0, 'The template is empty.'));
    else if (drafts.every(({ role }) => role === 'system')) {
      const message =
        'There is only a system message, which some providers refuse: add {{role "user"}} or {{history}}.';
      warnings.push({ ...drafts[0]!.empty, message });
    }
  }

  function report(statement: Located, at: CompileContext, message: string): void {
    issues.push(at.source.issueAt(statement.loc.start, message));
  }
}

function isHistory(statement: Statement): boolean {
  return (
    statement.type === 'MustacheStatement' &&
    isMustacheOf(statement, 'history') &&
    statement.params.length === 0 &&
    statement.hash === undefined
  );
}

function holdsMedia(node: TemplateNode): boolean {
  if (typeof node === 'string') return false;
  if ('if' in node) return [...node.yes, ...node.no].some(holdsMedia);
  if ('each' in node) return [...node.body, ...node.none].some(holdsMedia);
  return 'media' in node;
}

function slice(statement: Located, source: SourceText): string {
  return source.text.slice(source.offset(statement.loc.start), source.offset(statement.loc.end));
}

/** White space at the ends of a message is layout when the template wrote it, and data when a value brought it. */
function trimText(nodes: TemplateNode[]): void {
  const first = nodes[0];
  if (typeof first === 'string') {
    const text = first.trimStart();
    nodes.splice(0, 1, ...(text === '' ? [] : [text]));
  }
  const last = nodes.at(-1);
  if (typeof last === 'string') {
    const text = last.trimEnd();
    nodes.splice(-1, 1, ...(text === '' ? [] : [text]));
  }
}
