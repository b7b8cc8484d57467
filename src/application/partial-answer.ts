/** An answer and its pieces: put together as they come, so that one that breaks off is recorded as far as it came. */
import type { FinishReason } from '../domain/execution.ts';
import { GrowingText } from '../domain/growing-text.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { ToolCall } from '../domain/tool.ts';
import type { ProviderAnswer, StreamDelta } from './provider.ts';

export interface PartialAnswer {
  /** Null: none came. */
  readonly output: string | null;
  /** Arguments as far as they came: seldom whole JSON. */
  readonly toolCalls: readonly ToolCall[];
  readonly reasoning: readonly ReasoningBlock[];
}

export const nothingYet: PartialAnswer = { output: null, toolCalls: [], reasoning: [] };

export interface PartialAnswerBuilder {
  push(delta: StreamDelta): void;
  build(): PartialAnswer;
}

export function collectAnswer(): PartialAnswerBuilder {
  const said = { text: new GrowingText(), refusal: new GrowingText() };
  const calls: ToolCall[] = [];
  const blocks: ReasoningBlock[] = [];
  /** The last block may still grow. */
  let open = false;

  function think(more: Partial<ReasoningBlock>): void {
    const last = open ? blocks.pop() : undefined;
    blocks.push({ ...last, ...more, text: (last?.text ?? '') + (more.text ?? '') });
  }

  return {
    push(delta) {
      switch (delta.type) {
        case 'text':
        case 'refusal':
          said[delta.type].append(delta.text);
          break;
        case 'tool_call': {
          const { index, id, name, arguments: more } = delta;
          calls[index] = { id, name, arguments: (calls[index]?.arguments ?? '') + more };
          break;
        }
        case 'reasoning':
          think({ text: delta.text });
          break;
        case 'reasoning_end': {
          const { type: _type, ...proof } = delta;
          if (open || Object.keys(proof).length > 0) think(proof);
          break;
        }
      }
      open = delta.type === 'reasoning';
    },
    build: () => ({
      output: String(said.text) || String(said.refusal) || null,
      toolCalls: calls.filter(() => true),
      reasoning: [...blocks],
    }),
  };
}

/** A whole answer as if it had come in one piece each. */
export function piecesOf({
  output,
  finishReason,
  toolCalls,
  reasoning,
}: Pick<ProviderAnswer, 'output' | 'toolCalls' | 'reasoning'> & {
  readonly finishReason: FinishReason | null;
}): StreamDelta[] {
  const type = finishReason === 'refusal' ? 'refusal' : 'text';
  return [
    ...reasoning.flatMap(({ text, ...proof }): StreamDelta[] => [
      ...(text ? [{ type: 'reasoning', text } as const] : []),
      { type: 'reasoning_end', ...proof },
    ]),
    ...(output ? [{ type, text: output } as const] : []),
    ...toolCalls.map((call, index) => ({ type: 'tool_call', index, ...call }) as const),
  ];
}
