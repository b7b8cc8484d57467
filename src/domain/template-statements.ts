/** What stands inside a message: text, values, `json`, `if`, `unless`, `each`. Everything else is refused by position. */
import type { DefinitionIssue, SourceText } from './definition-error.ts';
import type { SchemaReader } from './schema-view.ts';
import type { Operand, TemplateNode, ValueOperand } from './template.ts';
import type { Block, Expression, Located, Mustache, Program, Statement } from './template-ast.ts';
import type { Includes } from './template-includes.ts';
import { enterLoop, guardKey, type Resolved, resolvePath, type Scope } from './template-scope.ts';

/** Blocks and includes inside each other; the renderer recurses as deep. */
const maxBlockDepth = 64;

export interface CompileContext {
  readonly source: SourceText;
  readonly scope: Scope;
  readonly depth: number;
  /** Values that an enclosing `{{#if}}` has found to be there. */
  readonly guards: readonly string[];
  readonly includes: Includes;
  readonly reader: SchemaReader;
  readonly issues: DefinitionIssue[];
  readonly warnings: DefinitionIssue[];
  readonly used: Set<string>;
  readonly defaulted: ReadonlySet<string>;
}

export function isMustacheOf(statement: Mustache, name: string): boolean {
  return statement.path.type === 'PathExpression' && statement.path.original === name;
}

/** Adds a node; text joins the text before it. */
export function appendText(nodes: TemplateNode[], node: TemplateNode): void {
  const last = nodes.at(-1);
  if (typeof node === 'string' && typeof last === 'string') nodes[nodes.length - 1] = last + node;
  else if (node !== '') nodes.push(node);
}

/** The nodes of one statement; none for a comment and for what was refused. */
export function compileStatement(statement: Statement, context: CompileContext): readonly TemplateNode[] {
  switch (statement.type) {
    case 'ContentStatement':
      return statement.value === '' ? [] : [statement.value];
    case 'CommentStatement':
      return [];
    case 'MustacheStatement':
      return compileMustache(statement, context);
    case 'BlockStatement':
      return compileBlock(statement, context);
    case 'PartialStatement': {
      const inner = context.includes.open(statement, context);
      if (inner === undefined) return [];
      const nodes = compileStatements(inner.statements, inner.context, statement);
      context.includes.close(inner);
      return statement.indent === '' ? nodes : [statement.indent, ...nodes];
    }
    default:
      return refuse(statement, context, 'Decorators and partial blocks are not supported.');
  }
}

function compileStatements(
  statements: readonly Statement[],
  context: CompileContext,
  at: Located,
): readonly TemplateNode[] {
  if (context.depth > maxBlockDepth) return refuse(at, context, 'The blocks are nested too deeply.');
  const nodes: TemplateNode[] = [];
  for (const statement of statements) {
    for (const node of compileStatement(statement, context)) appendText(nodes, node);
  }
  return nodes;
}

function compileMustache(statement: Mustache, context: CompileContext): readonly TemplateNode[] {
  const { path } = statement;
  if (path.type !== 'PathExpression') {
    return refuse(statement, context, 'A constant needs no braces: write the text itself.');
  }
  if (!statement.escaped) {
    return refuse(statement, context, `Write {{${path.original}}}: values are never escaped.`);
  }
  if (isMustacheOf(statement, 'json')) return compileJson(statement, context);
  if (isMedia(statement)) return compileMedia(statement, context);
  if (isMustacheOf(statement, 'role') || isMustacheOf(statement, 'history')) {
    const advice = `{{${path.original}}} stands between messages, never inside a block. For a variable of that name write {{this.${path.original}}}.`;
    return refuse(statement, context, advice);
  }
  if (statement.params.length > 0 || statement.hash !== undefined) {
    const advice = `There is no helper \`${path.original}\`: the only ones are json, media, if, unless, each, role and history.`;
    return refuse(statement, context, advice);
  }
  const found = resolve(path, context);
  if (found === undefined) return [];
  const media = context.reader.media(found.view);
  if (media !== undefined) {
    return refuse(
      statement,
      context,
      `\`${path.original}\` is ${media === 'image' ? 'an image' : 'a file'}: write {{media url=${path.original}}}.`,
    );
  }
  const kinds = context.reader.kinds(found.view);
  if (
    !('data' in found.operand) &&
    !['string', 'number', 'boolean'].some((kind) => kinds.has(kind as never))
  ) {
    const kind = kinds.has('array') ? 'a list' : kinds.has('object') ? 'an object' : 'always null';
    return refuse(statement, context, `\`${path.original}\` is ${kind}: write {{json ${path.original}}}.`);
  }
  warnWhenOptional(found, path, context);
  return [{ value: found.operand }];
}

function compileJson(statement: Mustache, context: CompileContext): readonly TemplateNode[] {
  const [param, ...more] = statement.params;
  const pairs = statement.hash?.pairs ?? [];
  const indent = pairs.length === 0 ? 0 : pairs[0]!.key === 'indent' ? literalNumber(pairs[0]!.value) : -1;
  if (param === undefined || more.length > 0 || pairs.length > 1 || !(indent >= 0 && indent <= 10)) {
    return refuse(statement, context, 'Write {{json name}} or {{json name indent=2}}.');
  }
  const found = resolve(param, context);
  if (found === undefined) return [];
  if (context.reader.media(found.view) !== undefined) {
    return refuse(statement, context, 'An image or a file is no text: write {{media url=name}}.');
  }
  warnWhenOptional(found, param, context);
  return [{ json: found.operand, indent }];
}

/** `{{media}}` alone is a variable of that name. */
function isMedia(statement: Mustache): boolean {
  return isMustacheOf(statement, 'media') && (statement.params.length > 0 || statement.hash !== undefined);
}

function compileMedia(statement: Mustache, context: CompileContext): readonly TemplateNode[] {
  const [pair, ...more] = statement.hash?.pairs ?? [];
  if (statement.params.length > 0 || pair?.key !== 'url' || more.length > 0) {
    const advice =
      'Write {{media url=name}}: the value itself says what it is, and the schema what it has to be.';
    return refuse(statement, context, advice);
  }
  const found = resolve(pair.value, context);
  if (found === undefined) return [];
  const kind = context.reader.media(found.view);
  if (kind === undefined || 'data' in found.operand) {
    return refuse(
      statement,
      context,
      '{{media}} takes a variable of the type `image` or `file`: declare it so.',
    );
  }
  warnWhenOptional(found, pair.value, context);
  return [{ media: found.operand, kind }];
}

function literalNumber(expression: Expression): number {
  const value = expression.type === 'NumberLiteral' ? expression.value : undefined;
  return typeof value === 'number' && Number.isInteger(value) ? value : -1;
}

function compileBlock(statement: Block, context: CompileContext): readonly TemplateNode[] {
  const name = statement.path.type === 'PathExpression' ? statement.path.original : '';
  const start = context.source.offset(statement.loc.start);
  if (context.source.text.startsWith('{{{{', start)) {
    return refuse(statement, context, 'Raw blocks are not supported. To write `{{`, write `\\{{`.');
  }
  if (name !== 'if' && name !== 'unless' && name !== 'each') {
    const advice =
      name === 'role' || name === 'history'
        ? `{{${name}}} is a marker between messages and no block: write it without \`#\`.`
        : `{{#${name}}} is not supported: the blocks are {{#if}}, {{#unless}} and {{#each}}.`;
    return refuse(statement, context, advice);
  }
  const [param, ...more] = statement.params;
  if (param === undefined || more.length > 0 || statement.hash !== undefined) {
    return refuse(statement, context, `{{#${name}}} takes one variable and nothing else.`);
  }
  const found = resolve(param, context);
  const inner = { ...context, depth: context.depth + 1 };
  if (name === 'each') return compileEach(statement, found, inner);
  if ((statement.program?.blockParams ?? statement.inverse?.blockParams ?? []).length > 0) {
    return refuse(statement, context, `Only {{#each}} names its item with \`as |item|\`.`);
  }
  if (found === undefined) {
    branch(statement.program, inner, statement);
    branch(statement.inverse, inner, statement);
    return [];
  }
  const guarded =
    'data' in found.operand ? inner : { ...inner, guards: [...inner.guards, guardKey(found.operand)] };
  const positive = name === 'if' ? statement.program : statement.inverse;
  const negative = name === 'if' ? statement.inverse : statement.program;
  return [
    {
      if: found.operand,
      yes: branch(positive, guarded, statement),
      no: branch(negative, inner, statement),
    },
  ];
}

function compileEach(
  statement: Block,
  found: Resolved | undefined,
  inner: CompileContext,
): readonly TemplateNode[] {
  if (found === undefined) return [];
  const kinds = inner.reader.kinds(found.view);
  if ('data' in found.operand || !(kinds.has('array') || kinds.has('object'))) {
    return refuse(statement, inner, '{{#each}} takes a list or an object.');
  }
  const names = statement.program?.blockParams ?? [];
  if (names.length > 2 || names.some((name) => name === 'this')) {
    return refuse(statement, inner, 'Write {{#each list as |item|}} or {{#each list as |item key|}}.');
  }
  const scope = enterLoop(found, names, inner.scope, inner.reader);
  return [
    {
      each: found.operand,
      body: branch(statement.program, { ...inner, scope }, statement),
      none: branch(statement.inverse, inner, statement),
    },
  ];
}

function branch(program: Program | undefined, context: CompileContext, at: Located): readonly TemplateNode[] {
  return program === undefined ? [] : compileStatements(program.body, context, at);
}

function resolve(expression: Expression, context: CompileContext): Resolved | undefined {
  const found = resolvePath(expression, context.scope, context.reader);
  if (typeof found === 'string') {
    refuse(expression, context, found);
    return undefined;
  }
  const { operand } = found;
  if (isValue(operand) && operand.loop === 0) context.used.add(operand.parts[0]!);
  return found;
}

function warnWhenOptional(found: Resolved, at: Expression, context: CompileContext): void {
  const { operand } = found;
  if (!isValue(operand)) return;
  const keys = operand.parts.map((_, index) => guardKey(operand, index + 1));
  const unguarded = found.optionalAt.some((length) => {
    if (operand.loop === 0 && length === 1 && context.defaulted.has(operand.parts[0]!)) return false;
    return !keys.slice(length - 1).some((key) => context.guards.includes(key));
  });
  if (!unguarded) return;
  const name = at.type === 'PathExpression' ? at.original : '';
  const message = `\`${name}\` is optional, and a call without it is refused: put it inside {{#if ${name}}}.`;
  context.warnings.push(context.source.issueAt(at.loc.start, message));
}

function isValue(operand: Operand): operand is ValueOperand {
  return !('data' in operand);
}

function refuse(at: Located, context: CompileContext, message: string): readonly TemplateNode[] {
  context.issues.push(context.source.issueAt(at.loc.start, message));
  return [];
}
