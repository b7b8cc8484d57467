import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import { mayUsePrompt } from '../domain/key-limits.ts';
import { authorizePrompt } from './authorize.ts';
import type { EvaluationFilter, EvaluationStore } from './evaluation-store.ts';

/** @throws PromptgateError not_found — also when the key may not use its prompt */
export async function getEvaluation(
  store: EvaluationStore,
  actor: Actor,
  runId: string,
): Promise<Evaluation> {
  const evaluation = await store.findEvaluation(runId);
  if (evaluation && mayUsePrompt(actor, evaluation.promptName)) return evaluation;
  throw new PromptgateError(
    'not_found',
    'No finished run of that id is recorded, or this key may not see it.',
  );
}

/** Newest first. @throws PromptgateError forbidden */
export async function listEvaluations(
  store: EvaluationStore,
  actor: Actor,
  promptName: string,
  filter: EvaluationFilter,
  page: { limit: number; before?: number },
): Promise<Evaluation[]> {
  authorizePrompt(actor, promptName);
  return store.listEvaluations(promptName, filter, page);
}
