import { normaliseSource, SourceText } from './definition-error.ts';
import { parseFrontMatter } from './front-matter.ts';

/**
 * The text of a definition with another version number, everything else as it was written. A declared break belongs to
 * the version that declared it, so `breaking` goes. Undefined where the text has no number to be found.
 */
export function withVersion(text: string, version: number): string | undefined {
  const frontMatter = parseFrontMatter(new SourceText('', normaliseSource(text)));
  if (typeof frontMatter.value.version !== 'number') return undefined;
  // Line ends stay as they are: lines are counted in the text as it is, not in its normal form.
  const lines = text.split(/(?<=\r\n|\n|\r(?!\n))/);
  const place = frontMatter.issueAt(['version'], '');
  const before = lines[place.line - 1] ?? '';
  const at = place.column - 1;
  lines[place.line - 1] = before.slice(0, at) + before.slice(at).replace(/^[+\w]+/, String(version));
  if (frontMatter.value.breaking !== undefined) {
    const first = frontMatter.issueAt(['breaking'], '', 'key');
    if (first.column === 1) lines.splice(first.line - 1, countEntryLines(lines.slice(first.line - 1)));
  }
  return lines.join('');
}

/** A key of a block mapping with what is indented below it. */
function countEntryLines(lines: readonly string[]): number {
  const next = lines.slice(1).findIndex((line) => /^\S/.test(line));
  return next === -1 ? 1 : next + 1;
}
