/** The report of `check` for a person, for the annotations of a GitHub workflow, and as a comment of a pull request. */
import type { CheckProblem, CheckReport, VersionChange } from '../application/check-definitions.ts';
import type { DefinitionDiff, TextSegment } from '../domain/definition-diff.ts';
import { focus, renderDifference, showValue } from './difference.ts';
import { paint } from './render.ts';

export function renderCheck(report: CheckReport): string {
  const paints = { error: 'red', warning: 'yellow', notice: 'cyan' } as const;
  const changes = report.changes.flatMap((change) => [
    paint('bold', title(change)),
    renderDifference(change.difference, '  '),
    '',
  ]);
  const problems = report.problems.map(
    ({ severity, file, line, column, message }) =>
      `${paint(paints[severity], severity)} ${file}:${line}:${column}: ${message}`,
  );
  return [...changes, ...problems, summary(report)].join('\n');
}

function title({ name, version, previous, breaking }: VersionChange): string {
  const what = `${name} ${numbers(version, previous)}`;
  return breaking === null ? what : `${what}, breaking: ${breaking}`;
}

function numbers(version: number, previous: number | null): string {
  if (previous === null) return `${version}, a new prompt`;
  return previous === version ? `${version}, changed under its number` : `${previous} → ${version}`;
}

function summary({ files, problems, changes }: CheckReport): string {
  const count = (severity: CheckProblem['severity']) =>
    problems.filter((problem) => problem.severity === severity).length;
  return `${plural(files, 'file')}, ${plural(changes.length, 'change')}: ${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions */
export function renderAnnotations(report: CheckReport): string {
  const lines = report.problems.map(({ severity, code, file, line, column, message }) => {
    const properties = Object.entries({ file, line, col: column, title: `promptgate: ${code}` });
    const listed = properties.map(([name, value]) => `${name}=${escapeProperty(String(value))}`).join(',');
    return `::${severity} ${listed}::${escapeData(message)}`;
  });
  return [...lines, summary(report)].join('\n');
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** GitHub takes comments of at most 65,536 characters. */
const maxCommentLength = 60_000;

export function renderComment(report: CheckReport): string {
  const failed = report.problems.some(({ severity }) => severity === 'error');
  const head = `### ${failed ? '❌' : '✅'} promptgate check: ${summary(report)}`;
  const sections = [problemTable(report.problems), ...report.changes.map(changeSection)].filter(
    (text) => text !== '',
  );
  if (sections.length === 0) sections.push('No prompt changes.');
  const shown: string[] = [head];
  let length = head.length;
  for (const [index, section] of sections.entries()) {
    length += section.length + 2;
    if (length > maxCommentLength) {
      shown.push(
        `${sections.length - index} more sections are too long for a comment: run \`promptgate check\`.`,
      );
      break;
    }
    shown.push(section);
  }
  return shown.join('\n\n');
}

function problemTable(problems: readonly CheckProblem[]): string {
  const rows = problems.map(
    ({ severity, file, line, column, message }) =>
      `| ${severity} | \`${cell(`${file}:${line}:${column}`)}\` | ${cell(escapeMarkdown(message))} |`,
  );
  return rows.length === 0 ? '' : ['| | where | what |', '|---|---|---|', ...rows].join('\n');
}

function changeSection(change: VersionChange): string {
  const { name, version, previous, breaking, path, difference } = change;
  const body = [
    ...(breaking === null ? [] : [`**Breaking:** ${escapeMarkdown(breaking)}`]),
    ...difference.texts.map(({ title, segments }) => textBlock(title, segments)),
    ...parameterTable(difference),
    ...contractTable(difference),
    ...(difference.identical ? ['Nothing that is sent or checked differs.'] : []),
  ];
  return [`#### \`${name}\` ${numbers(version, previous)} (\`${cell(path)}\`)`, ...body].join('\n\n');
}

/** In `pre`, nothing is a mention, a reference or an emoji, and white space stays; long lines are broken for reading. */
function textBlock(title: string, segments: readonly TextSegment[]): string {
  const marks = { same: ['', ''], removed: ['<del>', '</del>'], added: ['<ins>', '</ins>'] } as const;
  const html = breakLines(focus(segments)).map(({ kind, text }) => {
    const [open, close] = marks[kind];
    return `${open}${escapeHtml(text)}${close}`;
  });
  return `<details open><summary>${escapeHtml(title)}</summary>\n<pre>${html.join('').trimEnd()}</pre>\n</details>`;
}

const lineWidth = 100;

function breakLines(segments: readonly TextSegment[]): TextSegment[] {
  let column = 0;
  return segments.map(({ kind, text }) => {
    const words = text.split(/(\n|[ \t]+)/).map((word) => {
      const fits = column + word.length <= lineWidth;
      column = word === '\n' || (!fits && /^[ \t]/.test(word)) ? 0 : column + word.length;
      return !fits && /^[ \t]/.test(word) ? '\n' : word;
    });
    return { kind, text: words.join('') };
  });
}

function parameterTable({ parameters }: DefinitionDiff): string[] {
  if (parameters.length === 0) return [];
  const rows = parameters.map(
    ({ name, before, after }) =>
      `| \`${cell(name)}\` | ${cell(escapeMarkdown(showValue(before)))} | ${cell(escapeMarkdown(showValue(after)))} |`,
  );
  return [['| parameter | before | after |', '|---|---|---|', ...rows].join('\n')];
}

function contractTable({ contract }: DefinitionDiff): string[] {
  if (contract.length === 0) return [];
  const rows = contract.map(
    ({ path, message, breaking }) =>
      `| ${breaking ? '⚠️ breaks' : 'keeps'} | \`${cell(path)}\` | ${cell(escapeMarkdown(message))} |`,
  );
  return [['| contract | where | what |', '|---|---|---|', ...rows].join('\n')];
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Text from a definition is shown, never obeyed: no markup, no mention, no reference. Code spans of messages stay. */
function escapeMarkdown(text: string): string {
  return text
    .split(/(`[^`\n]*`)/)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : escapeHtml(part).replaceAll(/[\\*_[\]~#!]|@(?=\w)/g, (mark) =>
            mark === '@' ? '@\u200b' : `\\${mark}`,
          ),
    )
    .join('');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');
}
