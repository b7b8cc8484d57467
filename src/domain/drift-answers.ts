/**
 * Same version, same input, another answer.
 *
 * Where answers are declared deterministic (by the definition, else by temperature 0) and the baseline bears it out, one
 * changed answer is a fact. Elsewhere answers differ anyway, so what is asked is whether they differ more across the two windows than
 * within the first: each input that was answered twice before and once now is one trial of a sign test.
 */
import { type DriftSample, type DriftWindows, isAnswered } from './drift-sample.ts';
import { type DriftSignal, toPercent } from './drift-signal.ts';
import { compareSigns } from './paired-test.ts';

/** Share of the inputs whose answers changed; under it nobody need be told. */
const leastEffect = 0.1;

interface Repeated {
  /** In order of time; each is of the same input. */
  readonly before: readonly DriftSample[];
  readonly now: readonly DriftSample[];
}

/** Nothing where no input repeats. */
export function detectChangedAnswers({ baseline, now }: DriftWindows): DriftSignal[] {
  const repeated = findRepeated(baseline, now);
  if (repeated.length === 0) return [];
  const declared = repeated.filter(({ before, now: later }) =>
    [...before, ...later].every((one) => one.deterministic),
  );
  const steady = declared.every(
    ({ before }) => new Set(before.map(({ responseHash }) => responseHash)).size === 1,
  );
  if (declared.length > 0 && declared.length === repeated.length && steady) return [declaredSignal(declared)];
  return [testedSignal(repeated)];
}

function findRepeated(baseline: readonly DriftSample[], now: readonly DriftSample[]): Repeated[] {
  const hashed = (samples: readonly DriftSample[]) =>
    Map.groupBy(
      samples
        .filter((one) => isAnswered(one) && one.responseHash !== null)
        .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime()),
      ({ inputHash }) => inputHash,
    );
  const later = hashed(now);
  return [...hashed(baseline)].flatMap(([input, before]) => {
    const own = later.get(input);
    return before.length >= 2 && own ? [{ before, now: own }] : [];
  });
}

/** Effect: share of the inputs that have an answer they never had. */
function declaredSignal(repeated: readonly Repeated[]): DriftSignal {
  const novel = repeated.flatMap(({ before, now }) => {
    const changed = now.find(({ responseHash }) => responseHash !== before[0]!.responseHash);
    return changed ? [{ before: before.at(-1)!, after: changed }] : [];
  });
  return {
    ...{ detector: 'answers', measure: 'answer', pValue: null },
    effect: novel.length / repeated.length,
    relevant: novel.length > 0,
    ...counts(repeated),
    before: `one answer to each of ${repeated.length} inputs, declared deterministic`,
    after: `another one to ${toPercent(novel.length, repeated.length)}`,
    evidence: { before: novel[0]?.before.id ?? null, after: novel[0]?.after.id ?? null },
  };
}

/** Effect: how much more often answers differ now, of all inputs. */
function testedSignal(repeated: readonly Repeated[]): DriftSignal {
  const pairs = repeated.map(({ before, now }) => {
    const [earlier, last] = before.slice(-2) as [DriftSample, DriftSample];
    const first = now[0]!;
    return {
      last,
      first,
      within: earlier.responseHash !== last.responseHash,
      across: last.responseHash !== first.responseHash,
    };
  });
  const within = pairs.filter((pair) => pair.within).length;
  const across = pairs.filter((pair) => pair.across).length;
  const rises = pairs.filter((pair) => pair.across && !pair.within).length;
  const falls = pairs.filter((pair) => pair.within && !pair.across).length;
  const effect = (across - within) / pairs.length;
  const shown = pairs.find((pair) => pair.across && !pair.within);
  return {
    ...{ detector: 'answers', measure: 'answer', effect, relevant: effect >= leastEffect },
    pValue: compareSigns(rises, falls),
    ...counts(repeated),
    before: `same input, other answer: ${toPercent(within, pairs.length)}`,
    after: toPercent(across, pairs.length),
    evidence: { before: shown?.last.id ?? null, after: shown?.first.id ?? null },
  };
}

function counts(repeated: readonly Repeated[]) {
  return {
    baselineCount: repeated.reduce((sum, { before }) => sum + before.length, 0),
    nowCount: repeated.reduce((sum, { now }) => sum + now.length, 0),
  };
}
