import type { DefinitionDiff } from '../domain/definition-diff.ts';
import { errorTable } from '../domain/errors.ts';
import type { PlannedSuiteView } from '../http/suite-view.ts';
import type { SyncPlanView, SyncReportView } from '../http/sync-routes.ts';
import { renderDifference } from './difference.ts';
import { paint } from './render.ts';

type FileView = SyncReportView['files'][number] | SyncPlanView['files'][number];

/** What changed and what is wrong, then the counts; unchanged files are only counted. */
export function renderSync(report: SyncReportView): string {
  const lines = report.files.flatMap((file) => {
    if (file.outcome === 'unchanged') return renderWarnings(file);
    const paints = { synced: 'green', skipped: 'yellow', failed: 'red' } as const;
    return renderFile(paint(paints[file.outcome], file.outcome.padEnd(7)), file);
  });
  for (const suite of report.suites) lines.push(...renderSuite(suite.outcome, suite));
  for (const probe of report.retired_probes) {
    lines.push(`${paint('yellow', 'ended  ')} probe ${probe}: its suite is gone`);
  }
  for (const move of report.deployments) lines.push(`${paint('cyan', 'moved  ')} ${renderMove(move)}`);
  for (const refusal of report.refusals) {
    lines.push(`${paint('red', 'stayed ')} ${renderMove(refusal)}: ${refusal.message}`);
  }
  const counts = (['synced', 'unchanged', 'skipped', 'failed'] as const).map(
    (outcome) => `${report.files.filter((file) => file.outcome === outcome).length} ${outcome}`,
  );
  return [...lines, counts.join(', ')].join('\n');
}

const suitePaints = { synced: 'green', add: 'green', fail: 'red', failed: 'red' } as const;
const suiteStates = {
  new: 'add',
  unchanged: 'unchanged',
  invalid: 'fail',
  duplicate: 'fail',
  forbidden: 'fail',
} as const;

function renderSuite(
  title: keyof typeof suitePaints | 'unchanged',
  suite: Omit<PlannedSuiteView, 'state'>,
): string[] {
  const warnings = suite.warnings.map((warning) => paint('yellow', `  ${renderPosition(warning)}`));
  if (title === 'unchanged') return warnings;
  const what =
    suite.prompt === null
      ? suite.path
      : `suite "${suite.suite}" of ${suite.prompt}${suite.probe ? `, probe of ${suite.probe.label} at ${suite.probe.schedule}` : ''}  ${suite.path}`;
  return [
    `${paint(suitePaints[title], title.padEnd(title.endsWith('ed') ? 7 : 0))} ${what}${suite.message === null ? '' : `: ${suite.message}`}`,
    ...suite.issues.map((issue) => `  ${renderPosition(issue)}`),
    ...warnings,
  ];
}

/** What a sync would do, in its own words. */
export function renderPlan(plan: SyncPlanView): string {
  const titles = { new: 'add', backfill: 'skip' } as const;
  const paints = { add: 'green', skip: 'yellow', fail: 'red' } as const;
  const lines = plan.files.flatMap((file) => {
    if (file.state === 'unchanged') return renderWarnings(file);
    const title = file.state === 'new' || file.state === 'backfill' ? titles[file.state] : 'fail';
    return renderFile(paint(paints[title], title), file);
  });
  for (const suite of plan.suites) lines.push(...renderSuite(suiteStates[suite.state], suite));
  for (const move of plan.moves) {
    if (move.message === null) lines.push(`${paint('cyan', 'move')} ${renderMove(move)}`);
    else lines.push(`${paint('red', 'stay')} ${renderMove(move)}: ${move.message}`);
  }
  const count = (...states: string[]) => plan.files.filter(({ state }) => states.includes(state)).length;
  lines.push(
    `${count('new')} to add, ${count('unchanged')} unchanged, ${count('backfill')} to skip, ${count('modified', 'invalid', 'duplicate', 'forbidden')} would fail`,
  );
  return lines.join('\n');
}

/**
 * What a pipeline acts on: 0 when every file is registered and every label moved; 2 when a file cannot be used; 4 when the
 * key may not use its prompt; else 6, when a number is taken, an older number was skipped or a label stayed.
 */
export function syncExitCode(report: SyncReportView): number {
  const all = [...report.files, ...report.suites];
  if (all.some(({ outcome, issues }) => outcome === 'failed' && issues.length > 0)) {
    return errorTable.invalid_request.exitCode;
  }
  if (all.some(({ error_code }) => error_code === 'forbidden')) return errorTable.forbidden.exitCode;
  const complete = all.every(({ outcome }) => outcome === 'synced' || outcome === 'unchanged');
  return complete && report.refusals.length === 0 ? 0 : errorTable.conflict.exitCode;
}

/** The exit code that the sync of this plan would have, as far as the plan can know. */
export function planExitCode(plan: SyncPlanView): number {
  const states = new Set([...plan.files, ...plan.suites].map(({ state }) => state));
  if (states.has('invalid') || states.has('duplicate')) return errorTable.invalid_request.exitCode;
  if (states.has('forbidden')) return errorTable.forbidden.exitCode;
  const complete = !states.has('modified') && !states.has('backfill');
  return complete && plan.moves.every(({ message }) => message === null) ? 0 : errorTable.conflict.exitCode;
}

function renderFile(title: string, file: FileView): string[] {
  const identity = file.name === null ? file.path : `${file.name} v${file.version}  ${file.path}`;
  return [
    `${title} ${identity}${file.message === null ? '' : `: ${file.message}`}`,
    ...file.issues.map((issue) => `  ${renderPosition(issue)}`),
    ...(file.difference ? [renderDifference(file.difference as DefinitionDiff, '    ')] : []),
    ...renderWarnings(file),
  ];
}

function renderWarnings(file: FileView): string[] {
  return file.warnings.map((warning) => paint('yellow', `  ${renderPosition(warning)}`));
}

function renderMove(move: Omit<SyncPlanView['moves'][number], 'message'>): string {
  const from = move.from_version === null ? '' : `v${move.from_version} → `;
  return `${move.prompt} ${move.label}: ${from}v${move.to_version}`;
}

export function renderPosition(position: SyncReportView['files'][number]['issues'][number]): string {
  return `${position.file}:${position.line}:${position.column}: ${position.message}`;
}
