/** What a batch of replays is of: drawn and made fast when it begins, read back when it is gone on with. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { drawSample, type SampleStratum } from '../domain/replay-sample.ts';
import { authorizeAnyVersion, authorizeLabel } from './authorize.ts';
import { getPrompt } from './read-prompts.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import { type ReplayTarget, refuseTarget } from './replay-execution.ts';
import type { ReplayQuestion, ReplayRun, ReplayStore } from './replay-store.ts';

export interface ReplayDraw {
  readonly promptName: string;
  /** The label or the version that was called; neither: any. */
  readonly from: { readonly label?: string; readonly version?: number };
  /** Nothing: the very same once more. */
  readonly instead: ReplayTarget;
  readonly since: Date;
  /** Default: now. */
  readonly until?: Date;
  readonly size: number;
  /** Which sample it is; left out: one by chance, which the run tells. */
  readonly seed?: string;
  readonly stratify: readonly SampleStratum[];
}

export const maxSample = 2_000;

/** @throws PromptgateError not_found — no such prompt or version, or nothing to draw from; forbidden */
export async function beginReplayRun(
  deps: {
    readonly replays: ReplayStore;
    readonly snapshot: RegistrySnapshot;
    readonly now: () => number;
  },
  actor: Actor,
  draw: ReplayDraw,
  runId: string,
  dryRun: boolean,
): Promise<ReplayRun> {
  const { promptName, from, instead, since, size, stratify } = draw;
  getPrompt(deps.snapshot, actor, promptName);
  refuseTarget(promptName, instead);
  const createdAt = new Date(deps.now());
  const question: ReplayQuestion = {
    from,
    instead: resolveTarget(deps.snapshot, actor, promptName, instead),
    to: describeTarget(instead),
    since: since.toISOString(),
    until: (draw.until ?? createdAt).toISOString(),
    size,
    seed: draw.seed ?? runId.slice(-8),
    stratify,
  };
  // A key sees its own calls only, as in every list of executions.
  const keyId = actor.scopes.includes('admin') ? null : (actor.keyId ?? '');
  const candidates = await deps.replays.listCandidates(promptName, question, keyId);
  const { ids, population } = drawSample(candidates, size);
  if (ids.length === 0) {
    throw new PromptgateError(
      'not_found',
      `No call of "${promptName}" ${describeSource(from)}was answered or failed since ${question.since}. Name an earlier time, or another label or version that was called.`,
    );
  }
  const run = {
    runId,
    promptName,
    question,
    executionIds: ids,
    population,
    keyId: actor.keyId,
    actor: actor.name,
  };
  if (!dryRun) await deps.replays.recordRun(run);
  return { ...run, createdAt };
}

/** @throws PromptgateError not_found — also when another key began it */
export async function readReplayRun(replays: ReplayStore, actor: Actor, runId: string): Promise<ReplayRun> {
  const run = await replays.findRun(runId);
  if (run && (actor.scopes.includes('admin') || (run.keyId !== null && run.keyId === actor.keyId)))
    return run;
  throw new PromptgateError('not_found', 'There is no batch of that id, or this key may not see it.');
}

/** A label may move while the batch lasts: what it holds now is what runs. */
function resolveTarget(
  snapshot: RegistrySnapshot,
  actor: Actor,
  promptName: string,
  instead: ReplayTarget,
): ReplayTarget {
  const { label, ...rest } = instead;
  if (label !== undefined) authorizeLabel(actor, label);
  authorizeAnyVersion(actor);
  if (label === undefined && rest.version === undefined) return rest;
  const target = label === undefined ? { version: rest.version as number } : { label };
  return { ...rest, version: snapshot.resolve(promptName, target).version.version };
}

function describeTarget({ version, label, definition, model, parameters }: ReplayTarget): string {
  const parts = [
    ...(version === undefined ? [] : [`v${version}`]),
    ...(label === undefined ? [] : [label]),
    ...(definition ? ['a file'] : []),
    ...(model === undefined ? [] : [model]),
    ...Object.entries(parameters ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`),
  ];
  return parts.length === 0 ? 'the same' : parts.join(', ');
}

function describeSource({ label, version }: ReplayDraw['from']): string {
  if (label !== undefined) return `from ${label} `;
  return version === undefined ? '' : `from version ${version} `;
}
