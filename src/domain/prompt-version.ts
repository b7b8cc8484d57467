import type { GateRequirements } from './gate.ts';
import type { Json, JsonObject } from './json.ts';
import type { Role } from './message.ts';
import type { Tool } from './tool.ts';

/** Sampling and limits as a definition states them, in Dotprompt's spelling. Absent means: the provider's default. */
export interface Parameters {
  readonly temperature?: number;
  readonly maxOutputTokens?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly stopSequences?: readonly string[];
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly seed?: number;
  readonly reasoningEffort?: string;
  /** Deadline of the whole execution, all attempts together, in milliseconds. */
  readonly timeoutMs?: number;
}

/** One immutable version of a prompt as the registry keeps it. `source` is enough to rebuild everything else. */
export interface PromptVersion {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** `provider/model` or a bare model name that a prefix routes. */
  readonly model: string;
  readonly parameters: Parameters;
  /** Messages of the template as written, constructs included: for people and for SQL, not for rendering. */
  readonly messages: readonly { readonly role: Role | 'history'; readonly template: string }[];
  readonly inputSchema: JsonObject;
  readonly outputFormat: 'text' | 'json';
  readonly outputSchema: JsonObject | null;
  /** SHA-256, hex, over everything that changes what is sent or how it is checked. */
  readonly checksum: string;
  readonly description: string | null;
  readonly author: string | null;
  /** The definition text: LF, no BOM. */
  readonly source: string;
  /** Text of every included partial by name, as it was when the version was made. */
  readonly partials: Readonly<Record<string, string>>;
  /** Path of the file below the prompts directory, or null when it came over HTTP. */
  readonly path: string | null;
  readonly gitCommit: string | null;
  /** Message of that commit. */
  readonly gitMessage: string | null;
  readonly metadata: { readonly [key: string]: Json };
  /** Registry revision that made it: orders versions by commit. */
  readonly revision: number;
  readonly createdAt: Date;
}

export interface NewPromptVersion extends Omit<PromptVersion, 'id' | 'revision' | 'createdAt'> {
  /** For people and for SQL, as the messages: what runs is parsed from the source. */
  readonly tools: readonly Tool[];
}

export interface Label {
  readonly promptName: string;
  readonly label: string;
  readonly version: number;
  readonly movedAt: Date;
}

export const deploymentKinds = ['deploy', 'rollback', 'sync', 'break_glass'] as const;
/** `break_glass`: past a gate that had no evidence, with a reason. */
export type DeploymentKind = (typeof deploymentKinds)[number];

/** One append-only record of a label move. */
export interface Deployment {
  readonly id: number;
  readonly promptName: string;
  readonly label: string;
  readonly kind: DeploymentKind;
  readonly fromVersion: number | null;
  readonly toVersion: number;
  readonly actor: string;
  readonly reason: string | null;
  readonly gitCommit: string | null;
  /** The evidence that a gate let it in on; null where none was asked for. */
  readonly evaluationId: number | null;
  readonly createdAt: Date;
}

/** One append-only fact: a version, or a whole prompt, may not be newly deployed (any more). The latest one holds. */
export interface ArchiveFact {
  readonly promptName: string;
  /** Null: the whole prompt. */
  readonly version: number | null;
  /** False: taken out of the archive again. */
  readonly archived: boolean;
  readonly actor: string;
  readonly reason: string | null;
  readonly createdAt: Date;
}

/** One append-only fact about a label, of every prompt or of one; the latest one of its subject holds. */
export interface LabelPolicy {
  readonly label: string;
  /** Null: every prompt that has no policy of its own. */
  readonly promptName: string | null;
  /** A version reaches the label only with evidence. Null, of one prompt: as the label of every prompt. */
  readonly gated: boolean | null;
  readonly requirements: GateRequirements;
  /** Actors who may move the label, e.g. `key:ada`; null: whoever has the scope. Of every prompt only. */
  readonly movers: readonly string[] | null;
  readonly actor: string;
  readonly reason: string | null;
  readonly createdAt: Date;
}
