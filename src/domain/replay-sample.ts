/** Which executions a batch replays: of each group its share, so that what is rare is not left to chance. */

export const sampleStrata = ['outcome', 'length'] as const;
/** `outcome`: success, or the error. `length`: the quarter of the completion tokens that the answer is in. */
export type SampleStratum = (typeof sampleStrata)[number];

export interface Candidate {
  readonly id: string;
  /** Names its group. */
  readonly group: string;
  /** How many there are in its group, drawn or not. */
  readonly groupSize: number;
}

export interface Sample {
  readonly ids: readonly string[];
  /** How many there were to choose from. */
  readonly population: number;
}

/**
 * Of every group a share that is proportional to its size, and at least one while there is room.
 * @param candidates in the order in which they are drawn: of each group as many as it has, or `size`
 */
export function drawSample(candidates: readonly Candidate[], size: number): Sample {
  const groups = new Map(candidates.map(({ group, groupSize }) => [group, groupSize]));
  const population = [...groups.values()].reduce((sum, count) => sum + count, 0);
  const left = shareOut(groups, Math.min(size, population));
  const ids = candidates.flatMap(({ id, group }) => {
    const quota = left.get(group) ?? 0;
    left.set(group, quota - 1);
    return quota > 0 ? [id] : [];
  });
  return { ids, population };
}

/** Largest remainders; equal ones go to the group that is first by name, so that a seed decides all. */
function shareOut(groups: ReadonlyMap<string, number>, size: number): Map<string, number> {
  const population = [...groups.values()].reduce((sum, count) => sum + count, 0);
  const shares = [...groups].map(([group, count]) => {
    const exact = (size * count) / population;
    return { group, count, exact, quota: Math.min(count, Math.max(1, Math.floor(exact))) };
  });
  const byName = (a: { group: string }, b: { group: string }) => (a.group < b.group ? -1 : 1);
  for (let given = total(shares); given !== size; given = total(shares)) {
    const step = given < size ? 1 : -1;
    const room = shares.filter(({ quota, count }) => (step === 1 ? quota < count : quota > 0));
    // Too much is given where small groups were rounded up: the largest gives it back.
    if (step === 1) room.sort((a, b) => b.exact - b.quota - (a.exact - a.quota) || byName(a, b));
    else room.sort((a, b) => b.quota - a.quota || byName(b, a));
    room[0]!.quota += step;
  }
  return new Map(shares.map(({ group, quota }) => [group, quota]));
}

function total(shares: readonly { readonly quota: number }[]): number {
  return shares.reduce((sum, { quota }) => sum + quota, 0);
}
