/**
 * The grammar: Handlebars' parser and nothing else of Handlebars. Its tree is typed here as far as it is read, and its
 * errors, which come in three shapes and mostly without a column, become positioned sentences.
 */
import Handlebars from 'handlebars';
import type { DefinitionIssue, SourceText } from './definition-error.ts';

interface Position {
  readonly line: number;
  /** From 0. */
  readonly column: number;
}

export interface Located {
  readonly loc: { readonly start: Position; readonly end: Position };
}

export interface PathExpression extends Located {
  readonly type: 'PathExpression';
  /** True for `@index` and its like. */
  readonly data: boolean;
  /** Number of `../`. */
  readonly depth: number;
  readonly parts: readonly string[];
  readonly original: string;
}

interface Literal extends Located {
  readonly type: 'StringLiteral' | 'NumberLiteral' | 'BooleanLiteral' | 'UndefinedLiteral' | 'NullLiteral';
  readonly value: unknown;
  readonly original: unknown;
}

interface SubExpression extends Located {
  readonly type: 'SubExpression';
}

export type Expression = PathExpression | Literal | SubExpression;

interface Hash extends Located {
  readonly pairs: readonly (Located & { readonly key: string; readonly value: Expression })[];
}

export interface Mustache extends Located {
  readonly type: 'MustacheStatement';
  readonly path: Expression;
  readonly params: readonly Expression[];
  readonly hash?: Hash;
  /** False for `{{{x}}}` and `{{&x}}`. */
  readonly escaped: boolean;
}

export interface Program {
  readonly body: readonly Statement[];
  readonly blockParams?: readonly string[];
}

export interface Block extends Located {
  readonly type: 'BlockStatement';
  readonly path: Expression;
  readonly params: readonly Expression[];
  readonly hash?: Hash;
  /** Absent in `{{^if x}}…{{/if}}`. */
  readonly program?: Program;
  readonly inverse?: Program;
}

export interface Include extends Located {
  readonly type: 'PartialStatement';
  readonly name: Expression & { readonly original?: unknown };
  readonly params: readonly Expression[];
  readonly hash?: Hash;
  /** White space before an include that stands alone on its line. */
  readonly indent: string;
}

export interface Content extends Located {
  readonly type: 'ContentStatement';
  /** The text after white space control. */
  readonly value: string;
}

interface Other extends Located {
  readonly type: 'CommentStatement' | 'PartialBlockStatement' | 'Decorator' | 'DecoratorBlock';
}

export type Statement = Mustache | Block | Include | Content | Other;

/** The statements of a template, or the one problem that kept the parser from reading it. */
export function parseTemplate(source: SourceText): readonly Statement[] | DefinitionIssue {
  const tooDeep = findTooDeep(source.text);
  if (tooDeep !== undefined) return source.issueAtOffset(tooDeep, 'The blocks are nested too deeply.');
  try {
    return Handlebars.parse(source.text).body as unknown as readonly Statement[];
  } catch (error) {
    return toIssue(error as ParserError, source);
  }
}

/** The parser's time grows with the square of the nesting: it has to be bounded before it runs. */
const maxScannedDepth = 200;

/** Where blocks, and the links of `{{else if}}` chains, are open deeper than the bound. Text that only looks like tags counts. */
function findTooDeep(text: string): number | undefined {
  const links: number[] = [];
  let depth = 0;
  for (const tag of text.matchAll(/\{\{~?\s*(?:([#^])(?!\s*~?\})|(\/)|else\s+[^~}\s])/g)) {
    if (tag[2] !== undefined) {
      depth -= links.pop() ?? 0;
    } else {
      if (tag[1] !== undefined) links.push(1);
      else if (links.length > 0) links[links.length - 1]!++;
      if (tag[1] !== undefined || links.length > 0) depth++;
    }
    if (depth > maxScannedDepth) return tag.index;
  }
  return undefined;
}

interface ParserError {
  readonly message: string;
  /** With `column`: only when an opening and a closing tag do not match. */
  readonly lineNumber?: number;
  readonly column?: number;
}

function toIssue(error: ParserError, source: SourceText): DefinitionIssue {
  if (error instanceof RangeError) return source.issueAtOffset(0, 'The blocks are nested too deeply.');
  if (error.lineNumber !== undefined && error.column !== undefined) {
    const [, opened, closed] = /^(.+) doesn't match (.+) - /s.exec(error.message) ?? [];
    const message =
      closed === undefined ? 'This tag does not match.' : `{{#${opened}}} is closed by {{/${closed}}}.`;
    return source.issueAt({ line: error.lineNumber, column: error.column }, message);
  }
  const found = /got '(\w+)'/.exec(error.message)?.[1];
  if (found === undefined) return unsupportedSyntax(source);
  const offset = found === 'EOF' ? openBlockOffset(source.text) : errorOffset(error.message, source.text);
  return source.issueAtOffset(offset, unexpected(found));
}

/** The parser fails without a position on constructs that are not supported anyway. */
function unsupportedSyntax(source: SourceText): DefinitionIssue {
  const at = source.text.search(/\{\{\{\{|\{\{~?#?[*>]/);
  const message = 'Raw blocks, decorators and partial blocks are not supported. To write `{{`, write `\\{{`.';
  return source.issueAtOffset(Math.max(at, 0), message);
}

function unexpected(token: string): string {
  switch (token) {
    case 'EOF':
      return 'This block is never closed: end it, e.g. with {{/if}}.';
    case 'INVERSE':
    case 'OPEN_INVERSE_CHAIN':
      return '{{else}} stands outside a block.';
    case 'OPEN_ENDBLOCK':
      return 'This closes a block that is not open.';
    case 'OPEN_SEXPR':
      return 'Expressions in parentheses are not supported: send the value as a variable.';
    default:
      return 'This is not template syntax. To write `{{` as text, write `\\{{`.';
  }
}

/**
 * The parser shows the 20 characters before the error and the 20 after it, without line breaks, and a caret between
 * them. The place is where the text reads like that, nearest to the line that it names.
 */
function errorOffset(message: string, text: string): number {
  const [head = '', shown = '', caret = ''] = message.split('\n');
  const line = Number(/line (\d+)/.exec(head)?.[1] ?? 1);
  const before = shown.slice(0, caret.indexOf('^')).replace(/^\.\.\./, '');
  const after = shown.slice(caret.indexOf('^')).replace(/\.\.\.$/, '');
  let best = 0;
  let bestDistance = 3;
  let currentLine = 1;
  for (let at = 0; at < text.length && currentLine < line + bestDistance; at++) {
    const distance = Math.abs(currentLine - line);
    if (distance < bestDistance && readsLike(text, at, before, after)) {
      best = at;
      bestDistance = distance;
    }
    if (text[at] === '\n') currentLine++;
  }
  return best;
}

function readsLike(text: string, at: number, before: string, after: string): boolean {
  const left = text.slice(Math.max(0, at - 20), at).replaceAll('\n', '');
  const right = text.slice(at, at + 20).replaceAll('\n', '');
  return left.endsWith(before) && right.startsWith(after);
}

/** Where the block opens that is still open at the end; comments and escapes can mislead it, but only about the place. */
function openBlockOffset(text: string): number {
  const open: number[] = [];
  for (const tag of text.matchAll(/\{\{~?\s*(?:[#^](?!\s*~?\})|(\/))/g)) {
    if (tag[1] === undefined) open.push(tag.index);
    else open.pop();
  }
  return open.at(-1) ?? text.length;
}
