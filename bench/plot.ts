/** The figures to look at, as SVG that reads on light and dark pages: CPU for each request, and added p99 over the rate. */
import type { SystemResult } from './calls.ts';
import { addedAt, cpuOf, figure, latencyColumns, type Results } from './performance-page.ts';
import { median } from './processes.ts';

const width = 780;
/** Names stand left of the bars, and what a line is right of its end. */
const left = 220;
const right = 40;
const barHeight = 22;
const barsTop = 36;
const chartHeight = 260;
const colours = ['#8c8c8c', '#1668b8', '#19a3b8', '#7aa6d6', '#b3c7de', '#d1495b', '#e08e0b', '#5a9e4b'];
/** Between which latencies and rates are shown; both scales are logarithmic. */
const ticksMs = [0.1, 1, 10, 100, 1_000];
const ticksPerSecond = [1, 10, 100, 1_000, 10_000];

interface Coloured {
  readonly system: SystemResult;
  readonly colour: string;
}

export function plot({ systems, commit, date }: Results): string {
  const coloured = systems.map((system, index) => ({ system, colour: colours[index % colours.length]! }));
  const chartTop = barsTop + coloured.length * barHeight + 60;
  const height = chartTop + chartHeight + 50;
  const parts = [
    text(8, 20, `CPU µs for each request: median, least and most (${date}, commit ${commit})`),
    ...bars(coloured),
    text(8, chartTop - 16, 'added p99 in ms, by requests/s: 10, 50 and 80 % of saturation, 20 ms upstream'),
    ...lines(
      coloured.filter(({ system }) => system.latency.length > 0),
      chartTop,
    ),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#808080">
<title>CPU of each request and added latency, beside others</title>
${parts.join('\n')}
</svg>
`;
}

function bars(coloured: readonly Coloured[]): string[] {
  // One system that is much dearer would leave the others no length: its bar is cut, and its figure stands there.
  const middles = coloured.map(({ system }) => median(cpuOf(system))).toSorted((a, b) => b - a);
  const most = Math.min(middles[0]!, 2.5 * (middles[1] ?? middles[0]!));
  const x = (us: number) => left + (Math.min(us, most) / most) * (width - left - right - 60);
  return coloured.map(({ system, colour }, index) => {
    const all = cpuOf(system);
    const middle = median(all);
    const top = barsTop + index * barHeight;
    const centre = top + barHeight / 2 - 1;
    const isCut = middle > most;
    const whisker = isCut
      ? ''
      : `<line x1="${px(x(Math.min(...all)))}" x2="${px(x(Math.max(...all)))}" y1="${centre}" y2="${centre}" stroke="#808080" stroke-width="2"/>`;
    const end = isCut ? x(most) : x(Math.max(middle, ...all));
    return [
      text(left - 8, centre + 4, system.name, 'end'),
      `<rect x="${left}" y="${top + 2}" width="${px(x(middle) - left)}" height="${barHeight - 6}" fill="${colour}"/>`,
      whisker,
      text(px(end + 6), centre + 4, `${figure(middle, 0)}${isCut ? ' (cut)' : ''}`),
    ].join('');
  });
}

function lines(coloured: readonly Coloured[], top: number): string[] {
  const chartLeft = 60;
  const chartRight = width - left;
  const bottom = top + chartHeight;
  const x = (rate: number) => chartLeft + place(rate, ticksPerSecond) * (chartRight - chartLeft);
  const y = (ms: number) => bottom - place(ms, ticksMs) * chartHeight;
  const grid = ticksMs.map(
    (ms, index) =>
      `<line x1="${chartLeft}" x2="${chartRight}" y1="${px(y(ms))}" y2="${px(y(ms))}" stroke="#8884"/>${text(chartLeft - 8, px(y(ms) + 4), `${index === 0 ? '≤ ' : ''}${ms}`, 'end')}`,
  );
  const rates = ticksPerSecond.map((rate) => text(px(x(rate)), bottom + 18, `${rate}/s`, 'middle'));
  const drawn = coloured.map(({ system, colour }, index) => {
    const points = pointsOf(system).map(({ rate, p99Ms }) => [px(x(rate)), px(y(p99Ms))] as const);
    const at = top + 14 + index * 20;
    return [
      `<polyline points="${points.map((point) => point.join(',')).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`),
      `<circle cx="${chartRight + 20}" cy="${at - 4}" r="5" fill="${colour}"/>`,
      text(chartRight + 32, at, system.name),
    ].join('');
  });
  return [...grid, ...rates, ...drawn];
}

/** Of a value between the least and the most, from 0 to 1. */
function place(value: number, ticks: readonly number[]): number {
  const [least, most] = [ticks[0]!, ticks.at(-1)!];
  return Math.log10(Math.min(most, Math.max(least, value)) / least) / Math.log10(most / least);
}

function pointsOf(system: SystemResult): { rate: number; p99Ms: number }[] {
  return latencyColumns.filter(({ pauseMs }) => pauseMs === 20).map((column) => addedAt(system, column));
}

function text(x: number | string, y: number | string, what: string, anchor = 'start'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${what}</text>`;
}

function px(value: number): string {
  return value.toFixed(1);
}
