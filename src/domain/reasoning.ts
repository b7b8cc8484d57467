/** What a model thought before it answered, as far as its provider shows it: no part of the answer, and kept with it. */
import type { Json } from './json.ts';

export interface ReasoningBlock {
  /** Empty when only the provider can read it. */
  readonly text: string;
  /** With which Anthropic proves that the text is its own, when it is sent back. */
  readonly signature?: string;
  /** What only the provider can read, for it to be sent back. */
  readonly encrypted?: string;
  /** Of OpenAI's Responses: its items have one, and no other provider takes them. */
  readonly id?: string;
}

export function toReasoningJson(blocks: readonly ReasoningBlock[]): Json[] {
  return blocks.map((block) => ({ ...block }) as Record<string, Json>);
}
