/**
 * Which value a path in a template means, decided once and from the schema alone: a value can never change what a name
 * refers to. Inside `{{#each}}` a name is the item's if the item's schema has it, and otherwise the surrounding scope's.
 */
import { formatPath } from './json-path.ts';
import { isPrototypeName, nearestName } from './names.ts';
import type { SchemaReader, SchemaView } from './schema-view.ts';
import type { Operand, ValueOperand } from './template.ts';
import type { Expression, PathExpression } from './template-ast.ts';

export interface Scope {
  /** 0 for the variables, n inside the nth enclosing loop. */
  readonly loop: number;
  readonly view: SchemaView;
  readonly itemName?: string | undefined;
  readonly keyName?: string | undefined;
  readonly outer?: Scope;
}

export interface Resolved {
  readonly operand: Operand;
  readonly view: SchemaView;
  /** Parts of the path, from the start, that a call may leave out: `['a', 'b']` of `a.b.c` is 2. */
  readonly optionalAt: readonly number[];
}

/** The value that an expression means, or a sentence saying why it means none. */
export function resolvePath(expression: Expression, scope: Scope, reader: SchemaReader): Resolved | string {
  if (expression.type === 'SubExpression') {
    return 'Expressions in parentheses are not supported: send the value as a variable.';
  }
  if (expression.type !== 'PathExpression') return 'A constant is not supported here: name a variable.';
  if (expression.data) return resolveLoopData(expression, scope);
  const reserved = expression.parts.find(isPrototypeName);
  if (reserved !== undefined) return `\`${reserved}\` is a reserved name and never a variable.`;
  if (expression.depth > 0) {
    return '`../` is not supported: write the bare name, which is looked up outside the loop when the item lacks it.';
  }
  const explicit = /^(this(?![\w-])|\.)/.test(expression.original);
  if (/\//.test(expression.original.replace(/^\.\//, ''))) return 'Write the path with dots, e.g. {{a.b}}.';
  if (explicit && expression.parts.length === 0 && scope.loop === 0) {
    return '{{this}} is the item of an {{#each}}; outside of one, name a variable.';
  }
  return explicit
    ? follow(scope, expression.parts, reader)
    : resolveName(expression.parts, expression.original, scope, reader);
}

function resolveLoopData(path: PathExpression, scope: Scope): Resolved | string {
  const [name, ...more] = path.parts;
  if (name !== 'index' && name !== 'first' && name !== 'last' && name !== 'key') {
    return `{{${path.original}}} is not supported: a loop has @index, @first, @last and @key.`;
  }
  if (more.length > 0 || path.depth > 0) return `@${name} has no members and no outer form.`;
  if (scope.loop === 0) return `@${name} has a meaning only inside {{#each}}.`;
  return { operand: { loop: scope.loop, data: name }, view: [{ type: 'string' }], optionalAt: [] };
}

function resolveName(
  parts: readonly string[],
  written: string,
  scope: Scope,
  reader: SchemaReader,
): Resolved | string {
  const head = parts[0]!;
  for (let current: Scope | undefined = scope; current !== undefined; current = current.outer) {
    if (head === current.itemName) return follow(current, parts.slice(1), reader);
    if (head === current.keyName && parts.length === 1) {
      return {
        operand: { loop: current.loop, data: 'key' },
        view: [{ type: 'string' }],
        optionalAt: [],
      };
    }
    if (reader.member(current.view, head).length > 0) return follow(current, parts, reader);
  }
  return undeclared(head, written, scope, reader);
}

function undeclared(head: string, written: string, scope: Scope, reader: SchemaReader): string {
  const names = new Set<string>();
  for (let current: Scope | undefined = scope; current !== undefined; current = current.outer) {
    for (const name of reader.names(current.view)) names.add(name);
    if (current.itemName !== undefined) names.add(current.itemName);
  }
  const meant = nearestName(head, names);
  const hint = meant === undefined ? 'Declare it in input.schema.' : `Did you mean \`${meant}\`?`;
  return `The variable \`${written}\` is not declared. ${hint}`;
}

/** Walks the members of a scope's value; every one of them has to be declared. */
function follow(scope: Scope, parts: readonly string[], reader: SchemaReader): Resolved | string {
  let view = scope.view;
  const optionalAt: number[] = [];
  for (const [index, part] of parts.entries()) {
    const inner = reader.member(view, part);
    if (inner.length === 0) {
      const meant = nearestName(part, reader.names(view));
      const hint =
        meant === undefined
          ? 'Declare it in input.schema.'
          : `Did you mean \`${[...parts.slice(0, index), meant].join('.')}\`?`;
      return `\`${formatPath(parts.slice(0, index + 1))}\` is not declared. ${hint}`;
    }
    if (!view.includes(true) && !inner.includes(true) && reader.optional(view, part)) {
      optionalAt.push(index + 1);
    }
    view = inner;
  }
  return { operand: { loop: scope.loop, parts }, view, optionalAt };
}

/** The scope of a loop's body. */
export function enterLoop(
  list: Resolved,
  names: readonly string[],
  scope: Scope,
  reader: SchemaReader,
): Scope {
  return {
    loop: scope.loop + 1,
    view: reader.items(list.view),
    itemName: names[0],
    keyName: names[1],
    outer: scope,
  };
}

/** A key for the guards of `{{#if}}`. */
export function guardKey(operand: ValueOperand, length = operand.parts.length): string {
  return JSON.stringify([operand.loop, ...operand.parts.slice(0, length)]);
}
