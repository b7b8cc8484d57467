import type { Actor } from '../domain/api-key.ts';
import { type ReplayBatch, type ReplayBatchDependencies, replayExecutions } from './replay-executions.ts';

export interface ReadReplaysRequest {
  readonly actor: Actor;
  readonly runId: string;
  /** A registered suite whose assertions judge both sides; left out: `default`, where there is one. */
  readonly suite?: string;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/**
 * What a batch has come to, made again of its rows: nothing is called and nothing is written.
 * @throws PromptgateError not_found — no such batch, or another key's
 */
export function readReplays(
  deps: ReplayBatchDependencies,
  { runId, ...request }: ReadReplaysRequest,
): Promise<ReplayBatch> {
  return replayExecutions(deps, { ...request, draw: { resume: runId }, readOnly: true, concurrency: 1 });
}
