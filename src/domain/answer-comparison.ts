/** One answer against another of the same question: the text by word, JSON by member, and what it took. */
import microdiff from 'microdiff';
import { diffText, type TextSegment } from './definition-diff.ts';
import type { Execution } from './execution.ts';
import type { Json } from './json.ts';
import { formatPath } from './json-path.ts';

export interface AnswerComparison {
  /** By hash, of what the provider said and of the tools it called. Null where an answer is missing. */
  readonly equal: boolean | null;
  /** Null where nothing differs, or an answer is missing. */
  readonly segments: readonly TextSegment[] | null;
  /** Null where one of the answers is not JSON. */
  readonly json: readonly JsonChange[] | null;
  /** What is not the same on both sides: outcome, model that answered, tokens, cost, time. */
  readonly changes: readonly AnswerChange[];
}

export interface JsonChange {
  readonly path: string;
  /** Undefined: not there. */
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

export interface AnswerChange {
  readonly name: string;
  readonly before: string | number | null;
  readonly after: string | number | null;
}

export function compareAnswers(before: Execution, after: Execution): AnswerComparison {
  const answered = before.rawOutput !== null && after.rawOutput !== null;
  const equal =
    before.responseHash === null || after.responseHash === null
      ? null
      : before.responseHash === after.responseHash;
  const segments =
    answered && before.rawOutput !== after.rawOutput ? diffText(before.rawOutput, after.rawOutput) : null;
  return {
    equal,
    segments,
    json: answered ? diffJson(before.rawOutput, after.rawOutput) : null,
    changes: changesOf(before, after),
  };
}

function diffJson(before: string, after: string): JsonChange[] | null {
  const was = parse(before);
  const is = parse(after);
  if (was === undefined || is === undefined) return null;
  // A member of an object, so that answers that are no objects are compared too.
  return microdiff({ $: was }, { $: is }, { cyclesFix: false }).map((change) => ({
    path: formatPath(change.path.slice(1)) || '(top)',
    before: change.type === 'CREATE' ? undefined : change.oldValue,
    after: change.type === 'REMOVE' ? undefined : change.value,
  }));
}

/** Undefined where it is no JSON, or a bare word or number that only looks like it. */
function parse(text: string): Json | undefined {
  try {
    const value: Json = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function changesOf(before: Execution, after: Execution): AnswerChange[] {
  const read = (execution: Execution): [string, string | number | null][] => [
    ['status', execution.errorCode ?? execution.status],
    ['finish_reason', execution.finishReason],
    ['provider', execution.provider],
    ['model', execution.model],
    ['response_model', execution.responseModel],
    ['system_fingerprint', execution.systemFingerprint],
    ['tool_calls', execution.toolCalls.map(({ name }) => name).join(', ') || null],
    ['prompt_tokens', execution.promptTokens],
    ['completion_tokens', execution.completionTokens],
    ['cost', execution.price.cost],
    ['latency_ms', execution.latencyMs],
  ];
  const is = read(after);
  return read(before).flatMap(([name, was], index) => {
    const value = is[index]?.[1] ?? null;
    return was === value ? [] : [{ name, before: was, after: value }];
  });
}
