import type { Command } from 'commander';
import type { LabelGateView } from '../http/gate-view.ts';
import type { CliContext } from './context.ts';
import type { LabelView } from './deployment-view.ts';
import { renderGateState } from './gate-report.ts';
import { withGateway } from './gateway-client.ts';
import { oneLine, paint, renderTable } from './render.ts';
import { readTime, renderAge, renderTime } from './time.ts';

export function addLabelsCommand(program: Command, context: CliContext): void {
  program
    .command('labels')
    .description('What each label holds, since when, who put it there and why; or what it held at a time')
    .argument('[name]', 'one prompt')
    .option('--label <label>', 'one label, e.g. production')
    .option('--at <time>', 'what ran then, from the ledger: "2026-11-17 10:00" (UTC), 2h, 7d …')
    .option('--json', 'print JSON')
    .action((name: string | undefined, options: { label?: string; at?: string; json?: boolean }) =>
      withGateway(context, async (client) => {
        const query = new URLSearchParams();
        if (name) query.set('prompt', name);
        if (options.at) query.set('at', readTime(options.at, Date.now()));
        const { at, data } = await client.request<{ at: string; data: LabelView[] }>(
          'GET',
          `/v1/labels?${query}`,
        );
        const labels = options.label ? data.filter(({ label }) => label === options.label) : data;
        if (options.json) return context.out(JSON.stringify({ at, data: labels }, null, 2));
        if (options.at) context.out(paint('dim', `At ${renderTime(at)} UTC:`));
        context.out(
          labels.length > 0 ? renderLabels(labels, at, options.at ? 'before' : 'ago') : 'No label was set.',
        );
      }),
    );
}

function renderLabels(labels: readonly LabelView[], at: string, word: 'ago' | 'before'): string {
  const rows = labels.map(({ prompt, label, version, since, gated, gate, deployment }) => [
    prompt,
    renderLabel(label, gated, gate),
    `v${version}`,
    `${renderTime(since)}, ${renderAge(since, Date.parse(at), word)}`,
    deployment.from_version === null ? '—' : `v${deployment.from_version}`,
    deployment.kind,
    deployment.actor,
    oneLine(deployment.reason),
  ]);
  return renderTable(['prompt', 'label', 'holds', 'since (UTC)', 'before', 'how', 'who', 'why'], rows);
}

function renderLabel(label: string, gated: boolean, gate: LabelGateView | null): string {
  if (gate?.glass_broken) return `${label} (${renderGateState(gate)})`;
  if (!gated) return label;
  return gate ? `${label} (gated, ${renderGateState(gate)})` : `${label} (gated)`;
}
