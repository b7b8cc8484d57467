/** An old answer and the new one to the same input, reduced to what a report of many of them needs. */
import { diffText, type TextSegment } from './definition-diff.ts';
import type { Execution } from './execution.ts';

export interface AnswerSide {
  readonly executionId: string;
  readonly ok: boolean;
  /** `succeeded`, or the error. */
  readonly outcome: string;
  readonly finishReason: string | null;
  readonly responseModel: string | null;
  /** Characters of the answer, calls of tools included. */
  readonly length: number;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  /** Decimal text; null where it is not known. */
  readonly cost: string | null;
  readonly currency: string;
  readonly latencyMs: number;
  /** Whether the assertions of the suite passed; null where there are none, or they say neither. */
  readonly passed: boolean | null;
}

export interface ReplayPair {
  readonly executionId: string;
  /** Null where there is no such execution any more. */
  readonly before: AnswerSide | null;
  readonly after: AnswerSide | null;
  /** Why there is no new answer. */
  readonly reason: string | null;
  /** Whether the messages are those that were sent; null where none could be rendered. */
  readonly reproduced: boolean | null;
  /** By hash; null where an answer is missing. */
  readonly equal: boolean | null;
  /** From 0, nothing of the text changed, to 1: all of it did, or one side failed. Null without a new answer. */
  readonly change: number | null;
}

/** A pair with what was said, cut to what a person reads. */
export interface ShownPair {
  readonly pair: ReplayPair;
  readonly before: string;
  readonly after: string;
  readonly segments: readonly TextSegment[];
}

export function toSide(execution: Execution, passed: boolean | null): AnswerSide {
  return {
    executionId: execution.id,
    ok: execution.status === 'succeeded',
    outcome: execution.errorCode ?? execution.status,
    finishReason: execution.finishReason,
    responseModel: execution.responseModel,
    length: showAnswer(execution).length,
    promptTokens: execution.promptTokens,
    completionTokens: execution.completionTokens,
    cost: execution.price.cost,
    currency: execution.price.currency,
    latencyMs: execution.latencyMs,
    passed,
  };
}

/** The text, then each call of a tool on a line. */
export function showAnswer({ rawOutput, toolCalls }: Execution): string {
  const calls = toolCalls.map(({ name, arguments: said }) => `${name}(${said})`);
  return [...(rawOutput ? [rawOutput] : []), ...calls].join('\n');
}

/** What an answer says, or why there is none. */
export function showOutcome(execution: Execution): string {
  if (execution.status === 'succeeded') return showAnswer(execution);
  return `${execution.errorCode ?? execution.status}: ${execution.errorMessage ?? 'no answer'}`;
}

/** How much of two answers is not the same, by characters of the words that changed. */
export function measureChange(before: Execution, after: Execution): number {
  const [was, is] = [showAnswer(before), showAnswer(after)];
  if ((before.status === 'succeeded') !== (after.status === 'succeeded')) return 1;
  if (was === is) return 0;
  const same = diffText(was, is).reduce(
    (sum, { kind, text }) => sum + (kind === 'same' ? text.length : 0),
    0,
  );
  return 1 - (2 * same) / (was.length + is.length);
}
