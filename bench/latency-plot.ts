/** A plot of the added p99 over the rate, one line a system, as SVG that reads on light and dark pages. */
import type { SystemResult } from './calls.ts';
import { addedAt, latencyColumns, type Results } from './performance-page.ts';

const width = 760;
const height = 360;
const left = 60;
const right = 230;
const top = 30;
const bottom = 45;
const colours = ['#888888', '#1f77b4', '#17a2b8', '#9467bd', '#d62728', '#ff7f0e'];
/** Milliseconds between which latencies are shown, on a logarithmic scale. */
const range = [0.1, 1_000] as const;

export function plotLatency({ systems, commit }: Results): string {
  const most = Math.max(...systems.flatMap((system) => pointsOf(system).map(({ rate }) => rate)));
  const x = (rate: number) => left + (rate / most) * (width - left - right);
  const scale = (ms: number) => Math.log10(Math.min(range[1], Math.max(range[0], ms)) / range[0]);
  const y = (ms: number) => height - bottom - (scale(ms) / scale(range[1])) * (height - top - bottom);
  const grid = [0.1, 1, 10, 100, 1_000].map(
    (ms) =>
      `<line x1="${left}" x2="${width - right}" y1="${y(ms)}" y2="${y(ms)}" stroke="#8884"/><text x="${left - 6}" y="${y(ms) + 4}" text-anchor="end">${ms}</text>`,
  );
  const rates = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<text x="${x(share * most)}" y="${height - bottom + 18}" text-anchor="middle">${Math.round(share * most)}</text>`,
  );
  const lines = systems.map((system, index) => {
    const colour = colours[index % colours.length];
    const points = pointsOf(system).map(({ rate, p99Ms }) => `${x(rate).toFixed(1)},${y(p99Ms).toFixed(1)}`);
    const dots = points.map((point) => {
      const [cx, cy] = point.split(',');
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`;
    });
    const at = top + 10 + index * 20;
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}<circle cx="${width - right + 16}" cy="${at - 4}" r="4" fill="${colour}"/><text x="${width - right + 26}" y="${at}">${system.name}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="#888">
<text x="${left}" y="16">added p99 in ms, 20 ms upstream, by requests/s (commit ${commit})</text>
${[...grid, ...rates, ...lines].join('\n')}
</svg>
`;
}

function pointsOf(system: SystemResult): { rate: number; p99Ms: number }[] {
  return latencyColumns.filter(({ pauseMs }) => pauseMs === 20).map((column) => addedAt(system, column));
}
