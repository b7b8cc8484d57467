/** The answer of a model, checked against what the definition promises its callers. */
import type { Issue } from './errors.ts';
import type { FinishReason } from './execution.ts';
import type { Json } from './json.ts';
import { formatPath } from './json-path.ts';
import type { CompiledSchema } from './json-schema.ts';
import { findJsonFault } from './writable-text.ts';

/** Problems of an answer, with paths below `output`; none when it is as promised. Messages never repeat a value. */
export type ValidateOutput = (output: string, finish: FinishReason) => readonly Issue[];

/** Answers in their own right: what they say is not the output that was asked for. */
const otherAnswers: readonly FinishReason[] = ['refusal', 'content_filter', 'tool_calls'];

/** @param schema null: any JSON will do */
export function compileOutput(format: 'text' | 'json', schema: CompiledSchema | null): ValidateOutput {
  if (format === 'text') return () => [];
  return function validateOutput(output, finish) {
    if (otherAnswers.includes(finish)) return [];
    let value: Json;
    try {
      value = JSON.parse(output) as Json;
    } catch {
      const cut = finish === 'length' ? ': the limit of output tokens cut it off' : '';
      return [{ path: 'output', message: `is not JSON${cut}` }];
    }
    const fault = findJsonFault(value, { prototypeNames: true });
    if (fault) return [{ path: formatPath(fault.path, 'output'), message: fault.message }];
    return schema?.validate(value, 'output') ?? [];
  };
}
