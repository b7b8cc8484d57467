/** What every type of assertion is made of. */
import type { FinishReason } from './execution.ts';
import type { Json } from './json.ts';
import type { Tool, ToolCall } from './tool.ts';

/** An answer as assertions see it. */
export interface JudgedAnswer {
  /** Of tool calls without text: the calls as JSON, in OpenAI's shape. */
  readonly output: string;
  readonly toolCalls: readonly ToolCall[];
  /** Those that the version declares. */
  readonly tools: readonly Tool[];
  readonly finishReason: FinishReason | null;
  readonly latencyMs: number;
  /** In USD; null when it is not known. */
  readonly cost: number | null;
}

export interface Grade {
  readonly pass: boolean;
  /** Usually 0 to 1. */
  readonly score: number;
  readonly reason: string;
}

/** An assertion that could say neither pass nor fail. It never counts as a pass. */
export class AssertionCrash extends Error {}

/** What a type makes of an answer, before `not-` turns it round. `why` says what was found. */
export interface Match {
  readonly match: boolean;
  readonly why: string;
  /** Where it is not simply 1 or 0; of the match itself. */
  readonly score?: number;
  /** Where it is worth this much whichever way it is asked. */
  readonly worth?: number;
}

export interface AssertionSpec {
  readonly value: Json | undefined;
  readonly threshold: number | undefined;
  readonly tolerance: Json | undefined;
}

/** Says what is wrong with a part of the assertion. */
export type Complain = (part: 'type' | 'value' | 'threshold' | 'tolerance', message: string) => void;

/** Undefined after a complaint. */
export type CompileAssertion = (
  spec: AssertionSpec,
  complain: Complain,
) => ((answer: JudgedAnswer) => Match) | undefined;
