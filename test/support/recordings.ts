/** Real provider traffic, read in place when the shared folder is there. Never copied into the repository. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { JsonObject } from '../../src/domain/json.ts';

const directory = new URL('../../../shared/recordings/', import.meta.url);

export interface Recording {
  readonly id: string;
  readonly provider: string;
  readonly endpoint: string;
  readonly url?: string;
  readonly note: string;
  readonly source: { readonly recorded_at: string | null };
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
    };
    readonly error?: { readonly status: number; readonly message: string };
    readonly cost?: { readonly total?: number; readonly usage?: Readonly<Record<string, number>> } | null;
  };
}

export const recordingsArePresent = existsSync(directory);

/** Why the tests that need them are skipped, for the name of a visible test. */
export const recordingsAbsent = 'shared/recordings is not beside this checkout: no real traffic was replayed';

/** Exchanges over the two wires, without streaming or with. */
export function loadRecordings(kind: 'whole' | 'streamed' = 'whole'): Recording[] {
  if (!recordingsArePresent) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, directory), 'utf8')) as Recording)
    .filter(({ endpoint, response }) => {
      const known = endpoint.endsWith('chat/completions') || endpoint === '/v1/messages';
      return known && (kind === 'streamed') === Boolean(response.sse_text);
    });
}
