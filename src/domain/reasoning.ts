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

type Proof = Omit<ReasoningBlock, 'text'>;

const packedPrefix = 'pg1.';
const proofKeys = ['signature', 'encrypted', 'id'] as const;

/**
 * What proves a block, as one opaque text for a client whose API has one place for it: what it sends back is then what
 * the provider gave, whichever API lies between. Undefined: there is nothing to prove it.
 */
export function packProof(block: Proof): string | undefined {
  const said = proofKeys.flatMap((key) => (block[key] === undefined ? [] : [[key, block[key]]]));
  if (said.length === 0) return undefined;
  return packedPrefix + Buffer.from(JSON.stringify(Object.fromEntries(said))).toString('base64url');
}

/** Undefined: `packProof` has not written it. */
export function unpackProof(packed: string): Proof | undefined {
  if (!packed.startsWith(packedPrefix)) return undefined;
  let value: Json;
  try {
    value = JSON.parse(Buffer.from(packed.slice(packedPrefix.length), 'base64url').toString()) as Json;
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const said = proofKeys.flatMap((key) => (typeof value[key] === 'string' ? [[key, value[key]]] : []));
  return Object.fromEntries(said) as Proof;
}

export function toReasoningJson(blocks: readonly ReasoningBlock[]): Json[] {
  return blocks.map((block) => ({ ...block }) as Record<string, Json>);
}
