import { type Issue, PromptgateError } from './errors.ts';

/** One problem of a definition. `path` is `file:line:column`, so whatever shows issues shows where to look. */
export interface DefinitionIssue extends Issue {
  /** The definition's path, or `partial <name>`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/** A broken file can have thousands of problems; its message has the first of them. */
const maxLines = 100;

/**
 * A definition that cannot be used. It lists every problem found, each as `file:line:column: sentence` on a line of
 * the message; its code is `invalid_request`, so a definition that came over HTTP is answered without a special case.
 */
export class DefinitionError extends PromptgateError {
  override readonly issues: readonly DefinitionIssue[];

  constructor(issues: readonly DefinitionIssue[]) {
    const sorted = [...issues].sort((a, b) =>
      a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1,
    );
    const lines = sorted.slice(0, maxLines).map(({ path, message }) => `${path}: ${message}`);
    if (sorted.length > maxLines) lines.push(`${sorted.length - maxLines} more problems`);
    super('invalid_request', lines.join('\n'), { issues: sorted });
    this.name = 'DefinitionError';
    this.issues = sorted;
  }
}

/** Text of a definition or a partial, for finding lines. `firstLine` and `text` may be a part of the file, e.g. its body. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly firstLine: number;
  readonly #lineStarts: readonly number[];

  constructor(file: string, text: string, firstLine = 1) {
    this.file = file;
    this.text = text;
    this.firstLine = firstLine;
    const starts = [0];
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }

  /** Offset of a position inside `text`: line from 1, column from 0. */
  offset(position: { readonly line: number; readonly column: number }): number {
    return (this.#lineStarts[position.line - 1] ?? this.text.length) + position.column;
  }

  issueAt(position: { readonly line: number; readonly column: number }, message: string): DefinitionIssue {
    const line = position.line + this.firstLine - 1;
    const column = position.column + 1;
    return { file: this.file, line, column, message, path: `${this.file}:${line}:${column}` };
  }

  issueAtOffset(offset: number, message: string): DefinitionIssue {
    return this.issueAt(this.#position(offset), message);
  }

  #position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#lineStarts[low]! };
  }
}

const maxSourceLength = 1_048_576;

/** BOM dropped, line ends as LF: the form that is stored, parsed and hashed. */
export function normaliseSource(text: string): string {
  return text.replace(/^\uFEFF/, '').replaceAll(/\r\n?/g, '\n');
}

/** What makes a text unusable before it is parsed: too long, NUL, half of a surrogate pair. */
export function findSourceIssue(source: SourceText): DefinitionIssue | undefined {
  if (Buffer.byteLength(source.text) > maxSourceLength) {
    return source.issueAtOffset(0, 'The text is larger than 1 MiB.');
  }
  const unwritable = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.exec(
    source.text,
  );
  if (unwritable === null) return undefined;
  const what = unwritable[0] === '\0' ? 'a NUL character' : 'half of a surrogate pair';
  return source.issueAtOffset(unwritable.index, `Here stands ${what}: remove it.`);
}
