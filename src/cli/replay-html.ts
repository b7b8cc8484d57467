/** A batch of replays as one HTML page: no script, no network, whatever an answer says. */
import { type MetricName, metricNames } from '../domain/replay-report.ts';
import type { ReplayBatchView } from '../http/replay-batch-view.ts';
import { escapeHtml, type Point, plotForest, plotHistogram, plotScatter } from './replay-plots.ts';
import {
  keep,
  metricTitles,
  movementHeader,
  movementRows,
  percentOf,
  summarise,
  tallyRows,
  titleOf,
} from './replay-report.ts';

type Report = ReplayBatchView;
type Side = NonNullable<Report['pairs'][number]['before']>;

export function renderHtml(report: Report): string {
  const title = escapeHtml(titleOf(report));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="quiet">Run <code>${escapeHtml(report.run_id)}</code>${report.simulated ? '; the simulated provider answered' : ''}</p>
<ul>${summarise(report)
    .map((line) => `<li>${escapeHtml(line)}</li>`)
    .join('')}</ul>
${plots(report)}
${report.movements.length > 0 ? `<h2>How the figures moved</h2>${table(movementHeader, movementRows(report))}<p class="quiet">Means over the pairs that succeeded on both sides. The bounds are Student's of the paired differences; p is Wilcoxon's of the signed ranks, corrected by Holm for all tests of this report; * marks what chance does not explain at 95 %.</p>` : ''}
${tallyRows(report).length > 0 ? `<h2>Outcomes and models</h2>${table(['', 'before', 'after'], tallyRows(report))}` : ''}
${mostChanged(report)}
${allPairs(report)}
</main>
</body>
</html>
`;
}

function plots(report: Report): string {
  const changes = report.pairs.flatMap(({ change, before, after }) =>
    change === null || !before?.ok || !after?.ok ? [] : [change],
  );
  const drawn = [
    ...(report.movements.length > 0
      ? [plotForest('Mean difference, with its 95 % bounds', report.movements, metricTitles)]
      : []),
    ...(changes.length > 0 ? [plotHistogram('Answers by how much of them changed', changes)] : []),
    ...metricNames.flatMap((name) => {
      const points = pointsOf(report, name);
      return points.length > 0 ? [plotScatter(`${metricTitles[name]}, each pair`, points)] : [];
    }),
  ];
  if (drawn.length === 0) return '';
  return `<section class="plots">${drawn.join('\n')}</section>
<p class="quiet">Differences are shares of what there was before; an orange one has bounds that leave out 0. Each dot of the other plots is a pair: above the dashed line the new answer has more.</p>`;
}

function pointsOf({ pairs }: Report, name: MetricName): Point[] {
  return pairs.flatMap(({ execution_id, before, after }) => {
    if (!before?.ok || !after?.ok) return [];
    const [was, is] = [metricOf(before, name), metricOf(after, name)];
    return was === null || is === null
      ? []
      : [{ before: was, after: is, title: `${execution_id}: ${was} → ${is}` }];
  });
}

function metricOf(side: Side, name: MetricName): number | null {
  const value = side[name];
  return value === null ? null : Number(value);
}

function mostChanged(report: Report): string {
  const { prompt, most_changed } = report;
  if (most_changed.length === 0) return '';
  const pairs = most_changed.map(({ execution_id, replay_id, change, segments }, index) => {
    const side = (hidden: string, tag: string) =>
      segments
        .filter(({ kind }) => kind !== hidden)
        .map(({ kind, text }) =>
          kind === 'same' ? escapeHtml(text) : `<${tag}>${escapeHtml(text)}</${tag}>`,
        )
        .join('');
    return `<article>
<h3>${index + 1}. ${percentOf(change)} changed</h3>
<div class="pair">
<div><h4>before <code>${escapeHtml(execution_id)}</code></h4><pre>${side('added', 'del')}</pre></div>
<div><h4>after <code>${escapeHtml(replay_id)}</code></h4><pre>${side('removed', 'ins')}</pre></div>
</div>
<p class="quiet">Look closer: <code>promptgate executions ${escapeHtml(replay_id)}</code>. Keep it as a case: <code>promptgate eval add ${escapeHtml(prompt)} --from-execution ${escapeHtml(execution_id)}</code></p>
</article>`;
  });
  return `<h2>Most changed answers</h2>
<p class="quiet">All of them as cases of the suite: <code>${escapeHtml(keep(report))}</code></p>
${pairs.join('\n')}`;
}

const pairHeader = ['execution', 'replay', 'outcome', 'changed', 'tokens', 'cost', 'latency, ms'];

function allPairs({ pairs }: Report): string {
  const rows = pairs.map(({ execution_id, before, after, change, reason }) => {
    const both = (read: (side: Side) => string | number | null) => {
      const [was, is] = [before, after].map((side) => String((side && read(side)) ?? '—'));
      return was === is ? `${was}` : `${was} → ${is}`;
    };
    return [
      execution_id,
      after?.execution_id ?? reason ?? '—',
      both(({ outcome }) => outcome),
      change === null ? '—' : percentOf(change),
      both(({ completion_tokens }) => completion_tokens),
      both(({ cost }) => cost),
      both(({ latency_ms }) => Math.round(latency_ms)),
    ];
  });
  return `<details><summary>All ${pairs.length} pairs</summary>${table(pairHeader, rows, false)}</details>`;
}

/** @param figures what stands behind the first column */
function table(header: readonly string[], rows: readonly (readonly string[])[], figures = true): string {
  const head = header.map((title) => `<th>${escapeHtml(title)}</th>`).join('');
  const line = (cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  return `<div class="wide"><table${figures ? ' class="figures"' : ''}><thead><tr>${head}</tr></thead><tbody>${rows.map(line).join('')}</tbody></table></div>`;
}

const style = `
:root { color-scheme: light dark; --ink: light-dark(#1c2024, #e6e8ea); --quiet: light-dark(#5c666f, #9aa4ad);
  --line: light-dark(#d5dadf, #3a4148); --page: light-dark(#fff, #16191c); --blue: light-dark(#1f6feb, #6ea8fe);
  --orange: light-dark(#bc4c00, #f0883e); --green: light-dark(#dafbe1, #12361f); --red: light-dark(#ffe3e0, #4a1d1b); }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } h4 { font-size: .85rem; font-weight: normal; margin: .2rem 0; color: var(--quiet); }
li, code { overflow-wrap: anywhere; } .quiet { color: var(--quiet); font-size: .85rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); gap: 20px; align-items: start; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: 10px; } figcaption { font-weight: 600; margin-bottom: 6px; }
svg { width: 100%; height: auto; max-height: 340px; } svg text { font-size: 12px; fill: var(--quiet); }
.axis { stroke: var(--quiet); } .same { stroke: var(--quiet); stroke-dasharray: 4 4; }
.dot { fill: var(--blue); fill-opacity: .5; } .bar, circle.moved { fill: var(--orange); } .calm { fill: var(--blue); }
.reach { stroke-width: 3; stroke: var(--blue); } .reach.moved { stroke: var(--orange); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); white-space: nowrap; font-variant-numeric: tabular-nums; }
.figures :is(th, td):not(:first-child) { text-align: right; padding: 4px 0 4px 14px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr)); gap: 12px; } .pair > div { min-width: 0; }
pre { margin: 0; padding: 10px; border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .82rem; max-height: 420px; overflow-y: auto; }
ins { background: var(--green); text-decoration: none; } del { background: var(--red); text-decoration: none; }
summary { cursor: pointer; margin-top: 2rem; font-weight: 600; }
`;
