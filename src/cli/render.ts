/** How commands print: aligned tables, colour only in a terminal, and JSON as it is. */
import { stripVTControlCharacters, styleText } from 'node:util';
import type { PromptgateError } from '../domain/errors.ts';

type Style = Parameters<typeof styleText>[0];

/** Colour where stdout is a terminal; plain text when piped, and under NO_COLOR. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Columns separated by two spaces; numbers to the right. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(width(title), ...rows.map((row) => width(row[column] ?? ''))),
  );
  const numeric = header.map((_, column) =>
    rows.every((row) => /^[\d.,—-]*$/.test(plain(row[column] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => pad(printable(cell), widths[column] ?? 0, numeric[column] ?? false))
      .join('  ')
      .trimEnd();
  return [paint('bold', line(header)), ...rows.map(line)].join('\n');
}

/** Text that somebody else wrote, on one line and without anything that a terminal would obey. */
export function oneLine(text: string | null): string {
  return text?.replaceAll(/\p{Cc}+/gu, ' ') ?? '—';
}

export function renderError(error: PromptgateError): string {
  const lines = [`${paint('red', 'error')} ${error.code}: ${error.message}`];
  const issues = error.issues.map(({ path, message }) => `${path}: ${message}`);
  // A message that is about one issue says it already.
  for (const issue of issues) if (!error.message.includes(issue)) lines.push(`  ${issue}`);
  if (error.executionId) lines.push(`  recorded as execution ${error.executionId}`);
  return lines.join('\n');
}

/** A cell may hold what somebody sent, a prompt name for example: all that it may do to the terminal is colours. */
function printable(text: string): string {
  return text.replace(/\p{Cc}(\[[\d;]*m)?/gu, (found, style = '') =>
    style !== '' && found.charCodeAt(0) === 27 ? found : `\uFFFD${style}`,
  );
}

function plain(text: string): string {
  return stripVTControlCharacters(text);
}

function width(text: string): number {
  return plain(text).length;
}

function pad(text: string, to: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, to - width(text)));
  return right ? space + text : text + space;
}
