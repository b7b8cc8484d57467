import type { Actor } from '../domain/api-key.ts';
import type { Budget, BudgetScope } from '../domain/budget.ts';
import { PromptgateError } from '../domain/errors.ts';
import { nearestName } from '../domain/names.ts';
import type { BudgetKeeper } from './budget-keeper.ts';
import type { BudgetStore } from './budget-store.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export interface SetBudgetRequest {
  readonly actor: Actor;
  /** A key by its id or its name. Without thresholds: no budget. */
  readonly budget: Budget;
  readonly reason: string | null;
}

/**
 * @throws PromptgateError invalid_request — a period that does not fit; not_found — no such key, prompt or label: a budget of a
 * name that nobody calls would limit nothing, and nobody would notice
 */
export async function setBudget(
  deps: {
    readonly budgetStore: BudgetStore;
    readonly budgets: Pick<BudgetKeeper, 'refresh'>;
    readonly snapshot: Pick<RegistrySnapshot, 'listKeys' | 'list'>;
  },
  { actor, budget, reason }: SetBudgetRequest,
): Promise<void> {
  const { scope, subject, measure, period } = budget;
  if ((measure === 'cost') !== (period !== 'minute')) {
    throw new PromptgateError(
      'invalid_request',
      'Money is limited by `day` or `month`, requests and tokens by `minute`.',
    );
  }
  const key =
    scope === 'key'
      ? deps.snapshot.listKeys().find(({ id, name }) => id === subject || name === subject)
      : undefined;
  if (scope === 'key' && !key) throw new PromptgateError('not_found', `There is no key "${subject}".`);
  // What is gone may still be lifted.
  const isLimit = budget.refuseAt !== null || budget.warnAt !== null;
  if (scope !== 'key' && isLimit) {
    const prompts = deps.snapshot.list();
    const known =
      scope === 'prompt'
        ? prompts.map(({ name }) => name)
        : [...new Set(prompts.flatMap(({ labels }) => [...labels.keys()]))];
    if (!known.includes(subject)) throw notFound(scope, subject, nearestName(subject, known));
  }
  await deps.budgetStore.set({ ...budget, subject: key?.id ?? subject }, actor.name, reason);
  await deps.budgets.refresh();
}

function notFound(scope: BudgetScope, subject: string, hint: string | undefined): PromptgateError {
  const more = hint ? `. Did you mean "${hint}"?` : '.';
  return new PromptgateError('not_found', `There is no ${scope} "${subject}"${more}`);
}
