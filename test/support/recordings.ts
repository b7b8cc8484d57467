/** Real provider traffic, read in place when the shared folder is there. Never copied into the repository. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Wire } from '../../src/application/provider.ts';
import type { JsonObject } from '../../src/domain/json.ts';

const directory = new URL('../../../shared/recordings/', import.meta.url);

export interface Recording {
  readonly id: string;
  readonly provider: string;
  readonly endpoint: string;
  readonly url?: string;
  readonly note: string;
  readonly source: { readonly recorded_at: string | null };
  readonly request?: { readonly body?: JsonObject | null };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: JsonObject | null;
    readonly body_text?: string;
    readonly sse_text?: string | null;
    /** The HTTP reads as they were, where they were kept. */
    readonly sse_chunks_b64?: readonly string[] | null;
  };
  /** An independent opinion: what the official SDK made of it. */
  readonly sdk: {
    readonly result?: {
      readonly model?: string;
      readonly text?: string;
      readonly tool_uses?: readonly { name: string; input: unknown }[];
      readonly stop_reason?: string;
      readonly choices?: readonly {
        text: string | null;
        refusal?: string | null;
        finish: string | null;
        tool_calls?: readonly { id: string; name: string; arguments: string }[];
      }[];
      readonly usage?: JsonObject;
      /** Of the Responses API: how the response ended, and its calls of functions. */
      readonly status?: string;
      readonly incomplete?: { readonly reason?: string } | null;
      readonly output_types?: readonly string[];
      readonly function_calls?: readonly { name: string; arguments: string }[];
    };
    readonly error?: { readonly status: number; readonly message: string };
    readonly cost?: {
      readonly total?: number | null;
      readonly usage?: Readonly<Record<string, number>>;
    } | null;
  };
}

export const recordingsArePresent = existsSync(directory);

/** Why the tests that need them are skipped, for the name of a visible test. */
export const recordingsAbsent = 'shared/recordings is not beside this checkout: no real traffic was replayed';

/** The wire that an exchange was made over. Failures of other endpoints have the shape of their neighbours'. */
export function wireOf({ endpoint }: Recording): Wire {
  if (endpoint.startsWith('/v1/messages')) return 'anthropic';
  return endpoint === '/v1/responses' ? 'openai-responses' : 'openai';
}

/** All exchanges, without streaming or with. */
export function loadRecordings(kind: 'whole' | 'streamed' = 'whole'): Recording[] {
  if (!recordingsArePresent) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, directory), 'utf8')) as Recording)
    .filter(({ response }) => (kind === 'streamed') === Boolean(response.sse_text));
}

/** What the official SDK read: the text, as one. */
export function textOf({ sdk: { result } }: Recording): string {
  return result?.text ?? result?.choices?.[0]?.text ?? '';
}

/** What the official SDK read: why the answer ended, in our words. */
export function finishOf({ sdk: { result } }: Recording): string | undefined {
  if (result?.status === 'incomplete') return 'length';
  if (result?.status === 'completed') return result.function_calls?.length ? 'tool_calls' : 'stop';
  return finishReasons[result?.stop_reason ?? result?.choices?.[0]?.finish ?? ''];
}

const finishReasons: Readonly<Record<string, string>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  end_turn: 'stop',
  max_tokens: 'length',
  stop_sequence: 'stop',
  tool_use: 'tool_calls',
  refusal: 'refusal',
  pause_turn: 'other',
};
