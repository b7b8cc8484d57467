/**
 * What a day cost, for people and for a webhook. A day is posted once for all gateways: whoever claims it writes down what is
 * said, and until it is known to be taken everybody posts those same words under the same id. A process that dies in between
 * leaves a day that is posted again, so a receiver may hear it twice and tells by the id.
 */
import type { Actor } from '../domain/api-key.ts';
import {
  type DailySummary,
  dayOf,
  toDailySummary,
  totalsOf,
  weekDays,
  yesterdayOf,
} from '../domain/daily-summary.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { CostStore } from './cost-store.ts';
import type { SummaryStore } from './summary-store.ts';
import type { WebhookEvent, WebhookPost } from './webhook-post.ts';

export interface SummarizeDayDependencies {
  readonly costs: CostStore;
  readonly summaries: SummaryStore;
  /** Absent: nobody wants to be told. */
  readonly webhook?: WebhookPost | undefined;
  readonly toSummaryEvent: (summary: DailySummary) => WebhookEvent;
}

export interface PostedSummary {
  readonly day: string;
  readonly eventId: string;
  /** `taken` now, or `before`; `posting`: it was claimed seconds ago and may be on its way; `refused`: not taken, post it again. */
  readonly outcome: 'taken' | 'before' | 'posting' | 'refused';
  /** Why it was not taken. */
  readonly reason: string | null;
}

const dayMs = 86_400_000;
/** At most so much of what has settled is added first: a day that is over has nearly nothing left. */
const catchUpMax = 5_000;
/** A claim that is younger may be on its way by whoever made it: one try takes ten seconds at most. */
const claimMs = 15_000;

/** @param day `2026-11-20`, UTC. @throws PromptgateError invalid_request — it is not over */
export async function summarizeDay(deps: SummarizeDayDependencies, day: string): Promise<DailySummary> {
  return (await readDay(deps, day)).summary;
}

async function readDay({ costs, summaries }: SummarizeDayDependencies, day: string) {
  const start = Date.parse(`${day}T00:00:00Z`);
  if (start + dayMs > Date.now()) {
    throw new PromptgateError(
      'invalid_request',
      `${day} is not over yet (UTC): a summary is of a whole day.`,
    );
  }
  await costs.rollUp(catchUpMax);
  const since = new Date(start - weekDays * dayMs);
  const [lines, posted, budgets, pending] = await Promise.all([
    costs.sum({
      since,
      until: new Date(start + dayMs),
      by: ['day', 'prompt', 'version'],
      latency: false,
    }),
    summaries.listTotals(dayOf(since.getTime()), day),
    summaries.listBudgets(day),
    costs.pending(),
  ]);
  return {
    summary: toDailySummary(day, lines, posted, { budgets, pending }),
    totals: totalsOf(day, lines),
  };
}

/** @throws PromptgateError invalid_request — no webhook is configured, or the day is not over */
export async function postSummary(
  deps: SummarizeDayDependencies,
  actor: Actor,
  day: string,
): Promise<PostedSummary> {
  const { summaries, webhook } = deps;
  if (!webhook) {
    throw new PromptgateError(
      'invalid_request',
      'There is nobody to post to: set PROMPTGATE_WEBHOOK_URL and PROMPTGATE_WEBHOOK_SECRET.',
    );
  }
  const { event, isMine, takenAt, ageMs } = await claim(deps, actor, day);
  const told = { day, eventId: event.id, reason: null };
  if (takenAt) return { ...told, outcome: 'before' };
  if (!isMine && ageMs < claimMs) return { ...told, outcome: 'posting' };
  const reason = await webhook.tryPost(event);
  if (reason !== null) return { ...told, outcome: 'refused', reason };
  await summaries.recordTaken(day, actor.name);
  return { ...told, outcome: 'taken' };
}

/**
 * What the clock calls: yesterday, and before it the days of the week that were never taken, though no gateway may have run
 * to claim them. One that was taken costs a question, so this may be called as often as a day should be tried.
 * @throws PromptgateError provider_unavailable — one is not known to be taken, and whoever calls has to try again; the others
 * were tried all the same
 */
export async function postDueSummaries(deps: SummarizeDayDependencies, actor: Actor): Promise<void> {
  const yesterday = yesterdayOf(Date.now());
  const week = dayOf(Date.parse(yesterday) - weekDays * dayMs);
  const refused: string[] = [];
  for (const day of [...(await deps.summaries.listUntaken(week, yesterday)), yesterday]) {
    const { outcome, reason } = await postSummary(deps, actor, day);
    if (outcome === 'posting') refused.push(`${day}: it was claimed seconds ago and may be on its way`);
    if (outcome === 'refused') refused.push(`${day}: ${reason}`);
  }
  if (refused.length > 0) {
    throw new PromptgateError(
      'provider_unavailable',
      `The summary of a day is not known to be taken, and is posted again: ${refused.join('; ')}.`,
    );
  }
}

async function claim(deps: SummarizeDayDependencies, actor: Actor, day: string) {
  const { summaries, toSummaryEvent } = deps;
  const known = await summaries.find(day);
  if (known) return { ...known, isMine: false };
  const { summary, totals } = await readDay(deps, day);
  const event = toSummaryEvent(summary);
  const isMine = await summaries.claim(day, event, totals, actor.name);
  const claimed = await summaries.find(day);
  if (!claimed) throw new PromptgateError('internal', `The claim of ${day} is not there.`);
  return { ...claimed, isMine };
}
