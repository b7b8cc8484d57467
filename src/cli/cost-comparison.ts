/** Two versions of a prompt side by side, as a person reads it. */
import { paint, renderTable } from './render.ts';

export interface ComparisonView {
  readonly prompt: string;
  readonly from: number;
  readonly to: number;
  readonly confidence: number;
  readonly data: readonly {
    readonly currency: string;
    readonly from: RateView;
    readonly to: RateView;
    readonly per_execution: ChangeView | null;
    readonly per_1k_prompt_tokens: ChangeView | null;
  }[];
}

interface RateView {
  readonly executions: number;
  readonly cost: string;
  readonly per_execution: number | null;
  readonly per_1k_prompt_tokens: number | null;
  readonly prompt_tokens_per_execution: number | null;
}

interface ChangeView {
  readonly change: number;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly p_value: number | null;
}

/**
 * What a run costs comes first, as that is what is paid. Tokens of the prompt take longer inputs out, but a version's own
 * template too: one that grew looks cheaper by the token while every run costs more.
 */
export function renderComparison(view: ComparisonView, one: ComparisonView['data'][number]): string {
  const row = (version: number, rate: RateView) => [
    `v${version}`,
    String(rate.executions),
    rounded(Number(rate.cost)),
    rounded(rate.prompt_tokens_per_execution),
    rounded(rate.per_execution),
    rounded(rate.per_1k_prompt_tokens),
  ];
  const { per_execution: perCall, per_1k_prompt_tokens: perTokens } = one;
  const isMixed = perCall !== null && perTokens !== null && perCall.change * perTokens.change < 0;
  return [
    renderTable(
      ['version', 'runs', one.currency, 'tokens in a run', 'a run', '1k in'],
      [row(view.from, one.from), row(view.to, one.to)],
    ),
    '',
    `A run of version ${view.to} ${sentence(perCall, view.confidence)}`,
    `For each 1,000 prompt tokens, those of its template included, it ${sentence(perTokens, view.confidence)}`,
    ...(isMixed
      ? [
          paint(
            'yellow',
            'These differ by the tokens in a run: longer inputs and a longer template look the same here.',
          ),
        ]
      : []),
  ].join('\n');
}

function sentence(change: ChangeView | null, confidence: number): string {
  if (!change) return 'cannot be compared: one side has no execution of known cost.';
  const { lower, upper } = change;
  const says = `costs ${percent(change.change)}`;
  if (lower === null || upper === null) return `${says}; too few executions to say how sure that is.`;
  const sure = `${confidence * 100} % sure: ${signed(lower)} to ${signed(upper)}`;
  const shown = lower > 0 || upper < 0;
  return shown ? `${says} (${sure}).` : `${says}, which may be chance (${sure}).`;
}

function percent(change: number): string {
  return `${Math.abs(change * 100).toFixed(1)} % ${change < 0 ? 'less' : 'more'}`;
}

function signed(change: number): string {
  return `${change < 0 ? '−' : '+'}${Math.abs(change * 100).toFixed(1)} %`;
}

/** Four digits that mean something; the exact amount is in JSON and CSV. */
export function rounded(amount: number | null | undefined): string {
  if (amount == null) return '—';
  return amount >= 1_000 ? amount.toFixed(2) : amount.toLocaleString('en', { maximumSignificantDigits: 4 });
}
