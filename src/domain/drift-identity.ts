/**
 * Another model, or another price, behind the same name. A `response_model` or a unit price that the baseline never had is a
 * fact, from its first answer on. Fingerprints change with every server of some providers, so a new one counts only when it
 * answers more than chance allows.
 */
import type { DriftSample, DriftWindows } from './drift-sample.ts';
import { type DriftSignal, toPercent } from './drift-signal.ts';
import { compareRates } from './drift-statistics.ts';

/** Of the baseline, before anything in it can be said to be missing. */
const leastBaseline = 10;
/** Share of the answers that a new fingerprint must have given. */
const leastShare = 0.2;

/** Reads what an execution says of who answered it, by kind. */
type Identity = (sample: DriftSample) => ReadonlyMap<string, string>;

export function detectOtherModel(windows: DriftWindows): DriftSignal[] {
  return [
    ...findNew(windows, 'response_model', ({ responseModel }) => single(responseModel), true),
    ...findNew(windows, 'unit_price', ({ unitPrices }) => new Map(Object.entries(unitPrices ?? {})), true),
    ...findNew(windows, 'system_fingerprint', ({ systemFingerprint }) => single(systemFingerprint), false),
  ];
}

function single(value: string | null): ReadonlyMap<string, string> {
  return new Map(value === null ? [] : [['', value]]);
}

/** Effect: share of the answers by whoever is new. */
function findNew(
  { baseline, now }: DriftWindows,
  measure: string,
  read: Identity,
  fact: boolean,
): DriftSignal[] {
  const before = baseline.filter((one) => read(one).size > 0);
  const after = now.filter((one) => read(one).size > 0);
  if (before.length < leastBaseline || after.length === 0) return [];
  const known = Map.groupBy(
    before.flatMap((one) => [...read(one)]),
    ([kind]) => kind,
  );
  // A kind that the baseline has too seldom, say tokens that are read from a cache, says nothing about its values.
  const newOf = (one: DriftSample) =>
    [...read(one)].filter(([kind, value]) => {
      const values = known.get(kind) ?? [];
      return values.length >= leastBaseline && !values.some(([, old]) => old === value);
    });
  const novel = after.filter((one) => newOf(one).length > 0);
  // Tested as one question, whether or not anything is new: the number of tests must not depend on what they find.
  const { pValue } = compareRates(
    { hits: 0, count: before.length },
    { hits: novel.length, count: after.length },
  );
  const effect = novel.length / after.length;
  return [
    {
      ...{ detector: 'identity', measure, effect },
      pValue: fact ? null : pValue,
      relevant: fact ? novel.length > 0 : effect >= leastShare,
      baselineCount: before.length,
      nowCount: after.length,
      before: listValues(before.flatMap((one) => [...read(one)])),
      after: `${listValues(novel.flatMap(newOf))} in ${toPercent(novel.length, after.length)}`,
      newValues: [...new Set(novel.flatMap(newOf).map(nameOf))].sort(),
      evidence: { before: before.at(-1)!.id, after: novel[0]?.id ?? null },
    },
  ];
}

/** The commonest three; a provider's name of a model is text from outside. */
function listValues(values: readonly (readonly [string, string])[]): string {
  const counts = Map.groupBy(values, nameOf);
  const names = [...counts].sort(([, a], [, b]) => b.length - a.length).map(([name]) => name.slice(0, 80));
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
}

function nameOf([kind, value]: readonly [string, string]): string {
  return `${kind} ${value}`.trim();
}
