/** Gates as commands print them. */
import type { LabelGateView } from '../http/gate-view.ts';
import { oneLine, paint, renderTable } from './render.ts';
import { renderTime } from './time.ts';

export interface PolicyView {
  readonly prompt: string | null;
  readonly gated: boolean | null;
  readonly requirements: RequirementsView;
  readonly movers: string[] | null;
  readonly actor: string;
  readonly reason: string | null;
  readonly created_at: string;
}

interface RequirementsView {
  readonly suite: string | null;
  readonly pass_rate_min: number | null;
  readonly lower_bound_min: number | null;
  readonly repeats_min: number | null;
  readonly age_max_s: number | null;
  readonly margin_max: number | null;
  readonly simulated: boolean;
}

interface GateView {
  readonly gated: boolean;
  readonly requirements: RequirementsView;
  readonly movers: string[] | null;
  readonly labels: LabelGateView[];
  readonly data: PolicyView[];
}

/** What holds, how the label stands to it for each prompt, then every change. */
export function renderGate(label: string, gate: GateView): string {
  if (gate.data.length === 0) {
    return `${label} has no policy: it is not gated, and every key with the scope deploy may move it.`;
  }
  const asks = gate.gated ? `asks for ${renderRequirements(gate.requirements)}` : 'is not gated';
  const movers = gate.movers
    ? `moved by ${gate.movers.join(', ')} only`
    : 'moved by anyone with the scope deploy';
  const labels = gate.labels.map((held) => [
    held.prompt,
    `v${held.version}`,
    renderGateState(held),
    held.gated && held.message ? oneLine(`${held.message} Next: ${held.command}`) : '—',
  ]);
  const changes = gate.data.map((policy) => [
    renderTime(policy.created_at),
    policy.prompt ?? 'every',
    policy.gated === null ? 'inherit' : policy.gated ? 'on' : 'off',
    policy.gated ? renderRequirements(policy.requirements) : '—',
    policy.movers?.join(' ') ?? 'anyone',
    policy.actor,
    oneLine(policy.reason),
  ]);
  return [
    `${label} ${asks}; ${movers}.`,
    ...(labels.length > 0 ? ['', renderTable(['prompt', 'holds', 'gate', 'what is missing'], labels)] : []),
    '',
    renderTable(['when (UTC)', 'prompt', 'gate', 'asks for', 'moved by', 'who', 'why'], changes),
  ].join('\n');
}

/** How a label stands to its gate, in a word or two. */
export function renderGateState(gate: LabelGateView): string {
  if (gate.glass_broken) return paint('red', 'GLASS BROKEN');
  if (!gate.gated) return 'open';
  return gate.unproven === null ? paint('green', 'tested') : paint('yellow', gate.unproven);
}

function renderRequirements(requirements: RequirementsView): string {
  const { suite, pass_rate_min, lower_bound_min, repeats_min, age_max_s, margin_max, simulated } =
    requirements;
  const conditions = [
    suite === null ? 'its suite passed' : `suite ${suite} passed`,
    pass_rate_min === null ? '' : `at least ${percent(pass_rate_min)}`,
    lower_bound_min === null ? '' : `${percent(lower_bound_min)} proven`,
    repeats_min === null ? '' : `${repeats_min} tries of each case`,
    age_max_s === null ? '' : `not older than ${renderSeconds(age_max_s)}`,
    margin_max === null ? '' : `at most ${percent(margin_max)} worse than what it holds`,
    simulated ? 'simulated answers count' : '',
  ];
  return conditions.filter(Boolean).join(', ');
}

function percent(rate: number): string {
  return `${Number((rate * 100).toFixed(2))} %`;
}

function renderSeconds(seconds: number): string {
  for (const [name, size] of [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
  ] as const) {
    if (seconds % size === 0) return `${seconds / size} ${name}`;
  }
  return `${seconds} s`;
}
