/**
 * What a call is expected to take before it is made, from its text and its limit: for the first call of a budget, which
 * knows of none before it. Four characters a token is the usual rule of thumb; it decides about a share, not about a bill.
 */

import type { BudgetEstimate } from '../domain/budget-amount.ts';
import { computePrice } from '../domain/price.ts';
import { noUsage } from '../domain/usage.ts';
import type { Prepared } from './prepare-execution.ts';

const charactersPerToken = 4;
const answerTokens = 500;

export function estimateCall({ admission, definition, messages, route }: Prepared): BudgetEstimate {
  const promptTokens = Math.ceil(JSON.stringify(messages).length / charactersPerToken);
  const completionTokens = definition.parameters.maxOutputTokens ?? answerTokens;
  return {
    tokens: promptTokens + completionTokens,
    cost(currency) {
      const rawUsage = { prompt_tokens: promptTokens, completion_tokens: completionTokens };
      const bill = { responseModel: null, usage: noUsage, rawUsage, serviceTier: null };
      const price = computePrice({ ...route, bills: [bill], at: admission.startedAt });
      return price.currency === currency ? Number(price.cost ?? 0) : 0;
    },
  };
}
