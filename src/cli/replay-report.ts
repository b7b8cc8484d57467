/** What a batch of replays came to: for a person, and as a comment of a pull request (Markdown). */
import type { ReplayBatchView } from '../http/replay-batch-view.ts';
import { renderSegments } from './difference.ts';
import { oneLine, paint, renderTable } from './render.ts';
import { stops } from './run-progress.ts';

type Report = ReplayBatchView;
type Movement = Report['movements'][number];
type ShareMovement = NonNullable<Report['failures']>;

export const metricTitles: Record<Movement['name'], string> = {
  length: 'answer, characters',
  prompt_tokens: 'prompt tokens',
  completion_tokens: 'completion tokens',
  cost: 'cost',
  latency_ms: 'latency, ms',
};

/** What a batch calls a target that is no other. */
const asTheyWere = 'the same';

const shownInTerminal = 3;
const maxLine = 400;

export function renderBatch(report: Report): string {
  const shown = report.most_changed.slice(0, shownInTerminal);
  return [
    paint('bold', titleOf(report)),
    ...summarise(report).map((line) => `  ${line}`),
    ...(report.movements.length > 0 ? ['', renderTable(movementHeader, movementRows(report))] : []),
    ...(tallyRows(report).length > 0 ? ['', renderTable(['', 'before', 'after'], tallyRows(report))] : []),
    ...shown.flatMap(({ execution_id, replay_id, change, segments }) => [
      '',
      `${paint('bold', `${execution_id}: ${percentOf(change)} changed`)}  promptgate executions ${replay_id}`,
      shorten(renderSegments(segments)),
    ]),
    ...(shown.length > 0 ? ['', paint('dim', `as cases of the suite: ${keep(report)}`)] : []),
  ].join('\n');
}

export function renderMarkdown(report: Report): string {
  return [
    `## ${md(titleOf(report))}`,
    '',
    ...summarise(report).map((line) => `- ${md(line)}`),
    '',
    ...(report.movements.length > 0 ? table(movementHeader, movementRows(report)) : []),
    ...table(['', 'before', 'after'], tallyRows(report)),
    ...(report.most_changed.length > 0 ? ['<details><summary>Most changed answers</summary>', ''] : []),
    ...report.most_changed.flatMap(({ execution_id, replay_id, change, before, after }) => [
      `**${percentOf(change)}** of \`${execution_id}\`, replayed as \`${replay_id}\``,
      '',
      `- before: ${md(shorten(before))}`,
      `- after: ${md(shorten(after))}`,
      '',
    ]),
    ...(report.most_changed.length > 0 ? ['</details>', ''] : []),
  ].join('\n');
}

/** The command that makes cases of what changed most. */
export function keep({ prompt, run_id, most_changed }: Report): string {
  return `promptgate eval add ${prompt} --from-run ${run_id} --changed ${most_changed.length}`;
}

export function titleOf({ prompt, from, to, version }: Report): string {
  const source = from.label ?? (from.version === null ? 'any version' : `v${from.version}`);
  const held = version === null || to.includes(`v${version}`) ? '' : ` (v${version})`;
  const how = to === asTheyWere ? 'as they were' : `on ${to}${held}`;
  return `${prompt}: calls of ${source}, replayed ${how}`;
}

/** What is known, a sentence each. */
export function summarise(report: Report): string[] {
  const { sample, population, since, until, seed, stratify, stopped, equal, mean_change, failures } = report;
  const groups = stratify.length > 0 ? `, by ${stratify.join(' and ')}` : '';
  const missing = report.pairs.filter(({ after }) => after === null);
  return [
    `${sample} of ${population} calls from ${day(since)} to ${day(until)}, seed ${seed}${groups}`,
    `${report.reproduced} of ${report.rendered} render to the messages that were sent`,
    ...report.departures.map(({ part, reason, count }) => `${part}: ${reason} (${count})`),
    ...(report.dry_run ? [] : [spentOn(report)]),
    ...(stopped ? [`stopped: ${stops[stopped]}; go on with --resume ${report.run_id}`] : []),
    ...(report.dry_run ? [] : reasonsOf(missing)),
    ...(equal
      ? [
          `${equal.count} of ${equal.of} answers are the same (${percentOf(equal.lower)} to ${percentOf(equal.upper)}); on average ${percentOf(mean_change ?? 0)} of the text changed`,
        ]
      : []),
    ...(failures ? [`failures: ${sharesOf(failures)}`] : []),
    ...(report.assertions && report.suite
      ? [`suite ${report.suite.name}, passed: ${sharesOf(report.assertions)}`]
      : []),
    ...(report.judged_assertions > 0
      ? [`${report.judged_assertions} assertions need a judge, and were not asked`]
      : []),
    ...(report.costs ? [costOf(report.costs)] : []),
  ];
}

function spentOn({ call_count, made_count, duration_ms, simulated, cost, spent, currency }: Report): string {
  const price = simulated
    ? 'nothing was bought'
    : `cost ${cost ?? `not known, at least ${spent}`} ${currency}`;
  const time = `in ${(duration_ms / 1000).toFixed(1)} s`;
  if (made_count === call_count) return `${call_count} calls ${time}; ${price}`;
  const now = made_count === 0 ? 'all made before' : `${made_count} of them now, ${time}`;
  return `${call_count} calls, ${now}; ${price}`;
}

function costOf({ pairs, currency, before, after, difference }: NonNullable<Report['costs']>): string {
  const sign = difference.startsWith('-') ? '' : '+';
  return `cost of ${pairs} pairs: ${before} → ${after} ${currency} (${sign}${difference})`;
}

function reasonsOf(missing: Report['pairs']): string[] {
  const counts = Map.groupBy(missing, ({ reason }) => reason ?? 'no answer');
  return [...counts].map(([reason, pairs]) => `${pairs.length} without a new answer: ${oneLine(reason)}`);
}

function sharesOf(moved: ShareMovement): string {
  const { before, after, difference, lower, upper, gained, lost, corrected_p_value } = moved;
  const counts = `${before.count} → ${after.count} of ${after.of}`;
  if (gained + lost === 0) return `${counts}; none fewer, none more`;
  return `${counts} (${points(difference)}, ${points(lower)} to ${points(upper)}); ${gained} more, ${lost} fewer; McNemar p ${corrected_p_value < 0.001 ? '' : '= '}${showP(corrected_p_value)}`;
}

export const movementHeader = ['', 'pairs', 'before', 'after', 'mean difference', '95 % from', 'to', 'p'];

/** Means; what moved beyond chance is marked. */
export function movementRows({ movements, confidence }: Report): string[][] {
  return movements.map((moved) => {
    const show = (value: number | null) => (value === null ? '—' : showFigure(moved.name, value));
    const p = showP(moved.corrected_p_value);
    return [
      metricTitles[moved.name],
      String(moved.count),
      show(moved.before.mean),
      show(moved.after.mean),
      show(moved.mean_difference),
      show(moved.lower),
      show(moved.upper),
      moved.corrected_p_value < 1 - confidence ? `${p} *` : p,
    ];
  });
}

export function tallyRows({ outcomes, finish_reasons, response_models }: Report): string[][] {
  const rows = (title: string, tallies: Report['outcomes']) =>
    tallies.map(({ value, before, after }) => [`${title} ${oneLine(value)}`, String(before), String(after)]);
  return [...rows('outcome', outcomes), ...rows('finish', finish_reasons), ...rows('model', response_models)];
}

function showFigure(name: Movement['name'], value: number): string {
  if (name === 'cost') return value === 0 ? '0' : value.toPrecision(3);
  return Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(1);
}

export function showP(value: number): string {
  return value < 0.001 ? '<0.001' : value.toFixed(3);
}

export function percentOf(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function points(difference: number): string {
  return `${difference >= 0 ? '+' : ''}${(100 * difference).toFixed(1)} points`;
}

function day(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

function shorten(text: string): string {
  return text.length > maxLine ? `${text.slice(0, maxLine)}…` : text;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) => `| ${cells.map(md).join(' | ')} |`;
  return [line(header), `|${' --- |'.repeat(header.length)}`, ...rows.map(line), ''];
}

/** What a model said is shown as it is: none of it becomes a link, a mention, markup or a cell. */
function md(text: string): string {
  return oneLine(text).replaceAll(/[\\`*_[\]<>|@#~]/g, (character) => `&#${character.codePointAt(0)};`);
}
