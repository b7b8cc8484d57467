/** What a run came to: for a person, for a CI server (JUnit XML), and as a comment of a pull request (Markdown). */
import { percent } from '../domain/evaluation-run.ts';
import type { EvaluationReportView } from '../http/evaluation-view.ts';
import { oneLine, paint, renderTable } from './render.ts';
import { stops } from './run-progress.ts';

type Report = EvaluationReportView;
type Case = Report['cases'][number];

const verdictNames = { passed: 'PASSED', failed: 'FAILED', insufficient: 'INSUFFICIENT EVIDENCE' } as const;
const verdictColours = { passed: 'green', failed: 'red', insufficient: 'yellow' } as const;
const maxReason = 200;

export function renderReport(report: Report): string {
  const rows = report.cases.map((one) => [
    one.critical ? `${one.id} !` : one.id,
    stateOf(one),
    `${passesOf(one)}/${one.trials.length}`,
    meanScore(one).toFixed(2),
    latencyOf(one),
    oneLine(shorten(reasonOf(one) ?? '')),
  ]);
  const failing = report.cases.some((one) => !one.passed);
  const header = ['case', 'result', 'passed', 'score', 'ms', 'why'];
  const shown = failing ? rows.filter((_, index) => !report.cases[index]!.passed) : rows.slice(0, maxRows);
  const hidden = rows.length - shown.length;
  return [
    renderTable(header, shown),
    ...(hidden > 0 ? [paint('dim', `${hidden} more ${failing ? 'passed' : 'like these'}`)] : []),
    '',
    ...renderAssertions(report),
    ...summarise(report),
  ].join('\n');
}

/** When nothing failed nobody reads hundreds of lines that say so. */
const maxRows = 20;

function renderAssertions({ assertions }: Report): string[] {
  if (assertions.length === 0) return [];
  const rows = assertions.map(({ type, metric, passed, count, mean_score }) => [
    metric ?? type,
    `${passed}/${count}`,
    mean_score.toFixed(2),
  ]);
  return [renderTable(['assertion', 'passed', 'score'], rows), ''];
}

function summarise(report: Report): string[] {
  const name = verdictNames[report.verdict];
  const what = `${report.prompt} ${report.version === null ? 'draft' : `v${report.version}`}, suite ${report.suite}`;
  return [
    `${paint(['bold', verdictColours[report.verdict]], name)}  ${what}: ${counts(report)}`,
    `  ${figures(report)}`,
    ...report.reasons.map((reason) => `  ${reason}`),
    ...compared(report).map((line) => `  ${line}`),
    ...(report.stopped ? [`  stopped: ${stops[report.stopped]}`] : []),
    `  ${evidence(report)}`,
  ];
}

function counts({
  cases_passed,
  case_count,
  passed_count,
  trial_count,
  repeats,
  lower_bound,
  confidence,
}: Report): string {
  const answers = repeats > 1 ? `, ${passed_count} of ${trial_count} answers` : '';
  const proven = lower_bound === null ? '' : `: ≥ ${percent(lower_bound)} at ${percent(confidence)}`;
  return `${cases_passed} of ${case_count} cases${answers}${proven}`;
}

function figures({
  model,
  simulated,
  score,
  latency,
  cost,
  spent,
  currency,
  call_count,
  duration_ms,
}: Report): string {
  const parts = [
    `${model}${simulated ? ' (simulated)' : ''}`,
    `${call_count} calls in ${(duration_ms / 1000).toFixed(1)} s`,
    `score ${score.toFixed(2)}`,
    ...(latency ? [`p50 ${Math.round(latency.p50_ms)} ms, p95 ${Math.round(latency.p95_ms)} ms`] : []),
    simulated ? 'nothing was bought' : `cost ${cost ?? `not known, at least ${spent}`} ${currency}`,
  ];
  return parts.join('; ');
}

function compared({ comparison }: Report): string[] {
  if (!comparison) return [];
  const { label, version, difference, difference_lower, p_value, newly_broken, newly_fixed } = comparison;
  const signed = `${difference >= 0 ? '+' : ''}${(100 * difference).toFixed(1)} points`;
  return [
    `against v${version} of ${label}: ${signed}, at worst ${(100 * difference_lower).toFixed(1)}; McNemar p = ${p_value.toFixed(3)}`,
    ...(newly_broken.length > 0 ? [`newly broken: ${newly_broken.map(oneLine).join(', ')}`] : []),
    ...(newly_fixed.length > 0 ? [`newly fixed: ${newly_fixed.map(oneLine).join(', ')}`] : []),
  ];
}

function evidence({ evaluation_id, version, run_id, outcomes, not_evidence }: Report): string {
  const but = not_evidence === null ? '' : `; no gate takes it: ${not_evidence}`;
  if (evaluation_id !== null) return `recorded as evaluation ${evaluation_id}, run ${run_id}${but}`;
  if (version === null) return 'a draft: no evidence is recorded';
  if (outcomes.skipped === 0 && not_evidence !== null && !outcomes.unanswered && !outcomes.crashed) {
    return `not recorded: ${not_evidence}`;
  }
  const again =
    outcomes.unanswered || outcomes.crashed
      ? '; with --retry-unanswered it asks again what got no answer'
      : '';
  return `not recorded: trials are without a verdict; --resume ${run_id} goes on${again}`;
}

function stateOf(one: Case): string {
  const worst = (['failed', 'crashed', 'unanswered', 'skipped'] as const).find((outcome) =>
    one.trials.some((trial) => trial.outcome === outcome),
  );
  return worst === undefined ? paint('green', 'passed') : paint(worst === 'failed' ? 'red' : 'yellow', worst);
}

function reasonOf({ trials }: Case): string | null {
  return trials.find(({ outcome, reason }) => outcome !== 'passed' && reason)?.reason ?? null;
}

function passesOf({ trials }: Case): number {
  return trials.filter(({ outcome }) => outcome === 'passed').length;
}

function meanScore({ trials }: Case): number {
  return trials.reduce((sum, { score }) => sum + score, 0) / Math.max(1, trials.length);
}

function latencyOf({ trials }: Case): string {
  const known = trials.flatMap(({ latency_ms }) => latency_ms ?? []);
  if (known.length === 0) return '—';
  return String(Math.round(known.reduce((sum, ms) => sum + ms, 0) / known.length));
}

function shorten(text: string): string {
  return text.length > maxReason ? `${text.slice(0, maxReason)}…` : text;
}

/** A case is a testcase; one without a verdict is an error, not a failure. */
export function renderJunit(report: Report): string {
  const failures = report.cases.filter((one) => !one.passed && hasFailed(one)).length;
  const errors = report.cases.filter((one) => !one.passed && !hasFailed(one)).length;
  const attributes = `name="${xml(`${report.prompt} ${report.suite}`)}" tests="${report.case_count}" failures="${failures}" errors="${errors}" time="${(report.duration_ms / 1000).toFixed(3)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${attributes}>`,
    `  <testsuite ${attributes} timestamp="${report.started_at}">`,
    ...report.cases.map((one) => `    ${testcase(report, one)}`),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testcase(report: Report, one: Case): string {
  const seconds = one.trials.reduce((sum, { latency_ms }) => sum + (latency_ms ?? 0), 0) / 1000;
  const head = `<testcase classname="${xml(report.prompt)}" name="${xml(one.id)}" time="${seconds.toFixed(3)}"`;
  if (one.passed) return `${head}/>`;
  const kind = hasFailed(one) ? 'failure' : 'error';
  return `${head}><${kind} message="${xml(reasonOf(one) ?? '')}"/></testcase>`;
}

function hasFailed({ trials }: Case): boolean {
  return trials.some(({ outcome }) => outcome === 'failed');
}

/** What XML cannot hold at all is replaced: an answer may contain anything. */
function xml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll(/[&<>"\t\n\r]/g, (character) => `&#${character.codePointAt(0)};`);
}

/** Cases beyond this are counted: a comment is read by people, and has a bound of its own. */
const maxListed = 50;

export function renderMarkdown(report: Report): string {
  const icon = { passed: '✅', failed: '❌', insufficient: '⚠️' }[report.verdict];
  const failing = report.cases.filter(({ passed }) => !passed);
  const listed = failing.slice(0, maxListed);
  const subject = report.version === null ? 'the file' : `version ${report.version}`;
  return [
    `### ${icon} \`${report.prompt}\` ${subject}: ${verdictNames[report.verdict].toLowerCase()}`,
    '',
    `${counts(report)}  `,
    figures(report),
    '',
    ...[...report.reasons, ...compared(report)].map((line) => `- ${md(line)}`),
    ...(listed.length === 0
      ? []
      : [
          '',
          '| case | result | passed | why |',
          '|---|---|---|---|',
          ...listed.map(
            (one) =>
              `| ${md(one.id)}${one.critical ? ' (critical)' : ''} | ${worstOf(one)} | ${passesOf(one)}/${one.trials.length} | ${md(shorten(reasonOf(one) ?? ''))} |`,
          ),
        ]),
    ...(failing.length > listed.length ? ['', `${failing.length - listed.length} more did not pass.`] : []),
    '',
    `<sub>suite \`${report.suite}\` ${report.suite_checksum.slice(0, 8)}, version ${report.version_checksum.slice(0, 8)}, run ${report.run_id}</sub>`,
    '',
  ].join('\n');
}

function worstOf(one: Case): string {
  return (
    (['failed', 'crashed', 'unanswered', 'skipped'] as const).find((outcome) =>
      one.trials.some((trial) => trial.outcome === outcome),
    ) ?? 'passed'
  );
}

/** An answer is shown as it is: none of it becomes a link, a mention, markup or a cell. */
function md(text: string): string {
  return oneLine(text).replaceAll(/[\\`*_[\]<>|@#~]/g, (character) => `&#${character.codePointAt(0)};`);
}
