/** Plots of a batch of replays as SVG. Colours come from the page, so that they suit a dark screen too. */
import type { ReplayBatchView } from '../http/replay-batch-view.ts';

type Movement = ReplayBatchView['movements'][number];

export interface Point {
  readonly before: number;
  readonly after: number;
  readonly title: string;
}

/** Each point a pair: on the line nothing moved, above it the new answer has more. */
export function plotScatter(title: string, points: readonly Point[]): string {
  const [size, left, foot] = [260, 46, 34];
  const most = Math.max(...points.flatMap(({ before, after }) => [before, after]), Number.MIN_VALUE);
  const top = niceAbove(most);
  const at = (value: number) => (value / top) * (size - 12);
  const x = (value: number) => left + at(value);
  const y = (value: number) => size - at(value);
  const ticks = [0, top / 2, top];
  const dots = points.map(
    (point) =>
      `<circle cx="${fix(x(point.before))}" cy="${fix(y(point.after))}" r="3" class="dot"><title>${escapeHtml(point.title)}</title></circle>`,
  );
  return figure(title, `0 0 ${left + size + 16} ${size + foot}`, [
    `<line x1="${left}" y1="${size}" x2="${left + size}" y2="${size}" class="axis"/>`,
    `<line x1="${left}" y1="${size}" x2="${left}" y2="0" class="axis"/>`,
    `<line x1="${left}" y1="${size}" x2="${fix(x(top))}" y2="${fix(y(top))}" class="same"/>`,
    ...ticks.map((tick) => text(x(tick), size + 14, short(tick), 'middle')),
    ...ticks.map((tick) => text(left - 4, y(tick) + 4, short(tick), 'end')),
    text(left + size / 2, size + 30, 'before', 'middle'),
    text(left + 6, 12, 'after', 'start'),
    ...dots,
  ]);
}

/** How many answers changed by how much. */
export function plotHistogram(title: string, shares: readonly number[]): string {
  const bins = new Array<number>(11).fill(0);
  // The first bin is what did not change at all.
  for (const share of shares) bins[share === 0 ? 0 : Math.min(10, Math.floor(share * 10) + 1)]! += 1;
  const [height, wide, foot] = [200, 34, 36];
  const most = Math.max(...bins, 1);
  const bars = bins.flatMap((count, index) => {
    const tall = (count / most) * (height - 20);
    const from = 8 + index * wide;
    return [
      `<rect x="${from}" y="${fix(height - tall)}" width="${wide - 4}" height="${fix(tall)}" class="${index === 0 ? 'calm' : 'bar'}"/>`,
      ...(count > 0 ? [text(from + wide / 2 - 2, height - tall - 5, String(count), 'middle')] : []),
      text(from + wide / 2 - 2, height + 14, index === 0 ? 'none' : `${index * 10}`, 'middle'),
    ];
  });
  const width = 16 + bins.length * wide;
  return figure(title, `0 0 ${width} ${height + foot}`, [
    `<line x1="4" y1="${height}" x2="${width - 4}" y2="${height}" class="axis"/>`,
    ...bars,
    text(width / 2, height + 31, 'share of the text that changed, up to %', 'middle'),
  ]);
}

/** Mean differences as shares of what there was, so that they stand on one axis, with their bounds. */
export function plotForest(
  title: string,
  movements: readonly Movement[],
  names: Record<Movement['name'], string>,
): string {
  const rows = movements.flatMap(({ name, before, mean_difference, lower, upper }) => {
    if (before.mean === 0) return [];
    const share = (value: number) => value / before.mean;
    const mean = share(mean_difference);
    return [{ name, mean, lower: share(lower ?? mean_difference), upper: share(upper ?? mean_difference) }];
  });
  const reach = niceAbove(Math.max(...rows.flatMap(({ lower, upper }) => [-lower, upper]), 0.05));
  const [left, wide, row] = [130, 220, 40];
  const height = rows.length * row;
  const x = (share: number) => left + wide / 2 + (share / reach) * (wide / 2 - 6);
  const lines = rows.flatMap(({ name, mean, lower, upper }, index) => {
    const y = index * row + row / 2;
    const kind = lower > 0 || upper < 0 ? 'moved' : 'calm';
    return [
      text(left - 8, y + 4, names[name], 'end'),
      `<line x1="${fix(x(lower))}" y1="${y}" x2="${fix(x(upper))}" y2="${y}" class="reach ${kind}"/>`,
      `<circle cx="${fix(x(mean))}" cy="${y}" r="5" class="${kind}"><title>${(100 * mean).toFixed(1)} %</title></circle>`,
    ];
  });
  return figure(title, `0 0 ${left + wide + 24} ${height + 24}`, [
    `<line x1="${x(0)}" y1="0" x2="${x(0)}" y2="${height}" class="same"/>`,
    ...lines,
    ...[-reach, 0, reach].map((tick) =>
      text(x(tick), height + 16, `${tick > 0 ? '+' : ''}${short(100 * tick)} %`, 'middle'),
    ),
  ]);
}

function figure(title: string, viewBox: string, parts: readonly string[]): string {
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="${viewBox}" role="img" aria-label="${escapeHtml(title)}">${parts.join('')}</svg></figure>`;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${fix(x)}" y="${fix(y)}" text-anchor="${anchor}">${escapeHtml(content)}</text>`;
}

/** The next 1, 2 or 5 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value * 0.999) ?? 10) * power;
}

function short(value: number): string {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

function fix(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** What a model said is shown as it is: none of it becomes markup. */
export function escapeHtml(content: string): string {
  return content.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
