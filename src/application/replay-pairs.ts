/** The pairs of a batch as they come in: figures of all, texts of those that changed most. */
import { diffText } from '../domain/definition-diff.ts';
import type { Execution, StoredExecution } from '../domain/execution.ts';
import {
  measureChange,
  type ReplayPair,
  type ShownPair,
  showOutcome,
  toSide,
} from '../domain/replay-pair.ts';
import type { Departure } from './replay-departures.ts';
import type { OneReplay } from './replay-executions.ts';
import type { GradeAnswer } from './sample-assertions.ts';

export interface CountedDeparture extends Departure {
  readonly count: number;
}

export interface PairCollection {
  add(id: string, original: StoredExecution | undefined, replay: OneReplay): Promise<ReplayPair>;
  inOrder(ids: readonly string[]): ReplayPair[];
  /** The most changed, most first. */
  readonly shown: readonly ShownPair[];
  /** What was not as it was, and for how many. */
  readonly departures: readonly CountedDeparture[];
  /** Assertions that were left out because only a judge could decide them. */
  readonly judged: number;
}

const shownPairs = 10;
/** More than a person compares; the row has all of it. */
const shownLength = 8_000;

export function createReplayPairs(grade: GradeAnswer): PairCollection {
  const pairs = new Map<string, ReplayPair>();
  const departures = new Map<string, CountedDeparture>();
  let shown: { readonly pair: ReplayPair; readonly texts: readonly [string, string] }[] = [];
  let judged = 0;

  function count(found: readonly Departure[]): void {
    for (const departure of found) {
      const key = `${departure.part} ${departure.reason}`;
      departures.set(key, { ...departure, count: (departures.get(key)?.count ?? 0) + 1 });
    }
  }

  function keep(pair: ReplayPair, original: Execution, after: Execution): void {
    if (!pair.change) return;
    const texts = [showOutcome(original), showOutcome(after)] as const;
    shown.push({ pair, texts: [texts[0].slice(0, shownLength), texts[1].slice(0, shownLength)] });
    const order = ({ pair: one }: { pair: ReplayPair }) => one.change ?? 0;
    shown.sort((a, b) => order(b) - order(a) || (a.pair.executionId < b.pair.executionId ? -1 : 1));
    shown = shown.slice(0, shownPairs);
  }

  async function toPair(
    id: string,
    original: StoredExecution | undefined,
    { after, plan }: OneReplay,
  ): Promise<ReplayPair> {
    const reproduced = plan && original ? plan.rendered.renderedHash === original.renderedHash : null;
    const none = { after: null, reproduced, equal: null, change: null };
    if (!original) return { executionId: id, before: null, reason: String(after), ...none };
    const tools = plan?.definition.tools ?? [];
    const then = await grade(original, original, tools);
    judged += then.judged;
    const before = toSide(original, then.passed);
    if (typeof after === 'string') return { executionId: id, before, reason: after, ...none };
    const now = await grade(original, after, tools);
    const pair = {
      executionId: id,
      before,
      after: toSide(after, now.passed),
      reason: null,
      reproduced,
      equal:
        original.responseHash === null || after.responseHash === null
          ? null
          : original.responseHash === after.responseHash,
      change: measureChange(original, after),
    };
    keep(pair, original, after);
    return pair;
  }

  return {
    async add(id, original, replay) {
      const pair = await toPair(id, original, replay);
      pairs.set(id, pair);
      count(replay.plan?.departures ?? []);
      return pair;
    },
    inOrder: (ids) => ids.flatMap((id) => pairs.get(id) ?? []),
    get shown() {
      return shown.map(({ pair, texts: [before, after] }) => ({
        pair,
        before,
        after,
        segments: diffText(before, after),
      }));
    },
    get departures() {
      return [...departures.values()].sort((a, b) => b.count - a.count);
    },
    get judged() {
      return judged;
    },
  };
}
