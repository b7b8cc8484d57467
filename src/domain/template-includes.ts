/** Includes: a partial is parsed and put in place of its `{{> name}}` when the template is compiled, never later. */
import { type DefinitionIssue, findSourceIssue, normaliseSource, SourceText } from './definition-error.ts';
import { isPrototypeName } from './names.ts';
import { type Include, parseTemplate, type Statement } from './template-ast.ts';
import type { CompileContext } from './template-statements.ts';

const partialName = /^[A-Za-z0-9_][A-Za-z0-9_-]*([./][A-Za-z0-9_][A-Za-z0-9_-]*)*$/;
/** Bounds what partials that include each other many times can grow to. */
const maxIncludes = 1_000;
const maxIncludedLength = 4 * 1_048_576;

/** Finds the texts of partials that are at hand by name; a name like `constructor` is no member of its own. */
export function partialsFrom(texts: Readonly<Record<string, string>>): (name: string) => string | undefined {
  return (name) => (Object.hasOwn(texts, name) ? texts[name] : undefined);
}

export interface OpenInclude {
  readonly name: string;
  readonly statements: readonly Statement[];
  readonly context: CompileContext;
}

export interface Includes {
  /** The statements of a partial, or undefined with the problem reported. Whoever opens it closes it. */
  open(statement: Include, context: CompileContext): OpenInclude | undefined;
  close(include: OpenInclude): void;
  used(): Readonly<Record<string, string>>;
}

interface Partial {
  readonly source: SourceText;
  readonly statements: readonly Statement[] | undefined;
}

export function createIncludes(
  lookup: (name: string) => string | undefined,
  issues: DefinitionIssue[],
): Includes {
  const partials = new Map<string, Partial>();
  const stack: string[] = [];
  let count = 0;
  let length = 0;

  function load(name: string): Partial | undefined {
    const known = partials.get(name);
    if (known !== undefined) return known;
    const text: unknown = lookup(name);
    if (typeof text !== 'string') return undefined;
    const source = new SourceText(`partial ${name}`, normaliseSource(text));
    const parsed = findSourceIssue(source) ?? parseTemplate(source);
    const failed = 'message' in parsed;
    if (failed) issues.push(parsed);
    const partial = { source, statements: failed ? undefined : parsed };
    partials.set(name, partial);
    return partial;
  }

  function open(statement: Include, context: CompileContext): OpenInclude | undefined {
    const name = typeof statement.name.original === 'string' ? statement.name.original : '';
    const fault = findFault(statement, name);
    const partial = fault === undefined ? load(name) : undefined;
    if (partial !== undefined) {
      count++;
      length += partial.source.text.length;
    }
    const message =
      fault ??
      (partial === undefined ? `There is no partial \`${name}\`.` : undefined) ??
      (count > maxIncludes || length > maxIncludedLength ? 'The includes grow too large.' : undefined);
    if (message !== undefined) {
      issues.push(context.source.issueAt(statement.loc.start, message));
      return undefined;
    }
    if (partial?.statements === undefined) return undefined;
    stack.push(name);
    const inner = { ...context, source: partial.source, depth: context.depth + 1 };
    return { name, statements: partial.statements, context: inner };
  }

  function findFault(statement: Include, name: string): string | undefined {
    if (!partialName.test(name) || isPrototypeName(name)) {
      return 'An include names a partial: {{> name}}, of letters, digits, `_`, `-`, `.` and `/`.';
    }
    if (statement.params.length > 0 || statement.hash !== undefined) {
      return `An include takes no parameters: write {{> ${name}}}; it sees the variables where it stands.`;
    }
    if (stack.includes(name)) {
      return `The partial includes itself: ${[...stack.slice(stack.indexOf(name)), name].join(' → ')}.`;
    }
    return undefined;
  }

  return {
    open,
    close() {
      stack.pop();
    },
    used: () =>
      Object.fromEntries(
        [...partials].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { source }]) => [name, source.text]),
      ),
  };
}
