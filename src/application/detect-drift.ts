import type { Actor } from '../domain/api-key.ts';
import { type DriftMeasurement, judgeDrift, measureDrift } from '../domain/drift.ts';
import type { DriftSample } from '../domain/drift-sample.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { DriftRun, DriftStore, StoredDriftFinding } from './drift-store.ts';
import { newId } from './new-id.ts';
import { getPrompt, listPrompts } from './read-prompts.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export interface DetectDriftRequest {
  readonly actor: Actor;
  /** Left out: every prompt. */
  readonly promptName?: string;
  /** What is compared begins here; default: a day before the end. */
  readonly since?: Date;
  /** Default: now. */
  readonly until?: Date;
  /** What it is compared with begins here and ends at `since`; default: a week before it. */
  readonly baselineSince?: Date;
}

export interface DriftReport {
  readonly run: DriftRun;
  readonly findings: readonly StoredDriftFinding[];
}

export interface DetectDriftDependencies {
  readonly snapshot: RegistrySnapshot;
  readonly drift: DriftStore;
  /** Hears of every run that was recorded: metrics, and whoever wants to be told. */
  readonly onDrift?: (report: DriftReport) => void;
}

const dayMs = 86_400_000;
const maxDays = 92;

/**
 * Compares what prompts did lately with what they did before, and records what it found.
 * @throws PromptgateError invalid_request — windows that are out of order or too long; not_found
 */
export async function detectDrift(
  deps: DetectDriftDependencies,
  request: DetectDriftRequest,
): Promise<DriftReport> {
  const report = await compare(deps, request, null);
  if (report) return report;
  throw new PromptgateError('internal', 'A run of no time is recorded already.');
}

/** What the clock calls: of one time there is one run, which is told once, however often the time is given out. */
export async function detectDueDrift(
  deps: DetectDriftDependencies,
  actor: Actor,
  dueAt: Date,
): Promise<void> {
  await compare(deps, { actor }, dueAt);
}

/** @returns null — the run of that time is recorded already */
async function compare(
  deps: DetectDriftDependencies,
  request: DetectDriftRequest,
  dueAt: Date | null,
): Promise<DriftReport | null> {
  const windows = readWindows(request);
  const { actor, promptName } = request;
  const names =
    promptName === undefined
      ? listPrompts(deps.snapshot, actor).map(({ name }) => name)
      : [getPrompt(deps.snapshot, actor, promptName).name];
  const measured: DriftMeasurement[] = [];
  // One prompt after the other: the samples of one are all that is in memory.
  for (const name of names) {
    const now = declare(deps.snapshot, await deps.drift.sample(name, windows.since, windows.until));
    if (now.length === 0) continue;
    const earlier = await deps.drift.sample(name, windows.baselineSince, windows.since);
    const baseline = declare(deps.snapshot, earlier);
    measured.push(...measureDrift({ baseline, now }));
  }
  const { findings, tests, compared } = judgeDrift(measured);
  const asked = { id: newId(), actor: actor.name, promptName: promptName ?? null, dueAt };
  const run = { ...asked, ...windows, tests, compared };
  const recorded = await deps.drift.record(run, findings);
  if (!recorded) return null;
  const report = { run, findings: recorded };
  deps.onDrift?.(report);
  return report;
}

/** What a definition says of its answers is worth more than its temperature. */
function declare(snapshot: RegistrySnapshot, samples: readonly DriftSample[]): DriftSample[] {
  return samples.map((sample) => {
    const version = snapshot.find(sample.promptName)?.versions.get(sample.promptVersion);
    const deterministic = (version && snapshot.compile(version).deterministic) ?? sample.deterministic;
    return { ...sample, deterministic };
  });
}

function readWindows(request: DetectDriftRequest): Pick<DriftRun, 'baselineSince' | 'since' | 'until'> {
  const until = request.until ?? new Date();
  const since = request.since ?? new Date(until.getTime() - dayMs);
  const baselineSince = request.baselineSince ?? new Date(since.getTime() - 7 * dayMs);
  const days = (until.getTime() - baselineSince.getTime()) / dayMs;
  if (baselineSince < since && since < until && days <= maxDays) {
    return { baselineSince, since, until };
  }
  throw new PromptgateError(
    'invalid_request',
    `The baseline must begin before since, since before until, and all of it be at most ${maxDays} days.`,
  );
}
