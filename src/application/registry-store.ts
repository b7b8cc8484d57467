import type { ApiKey } from '../domain/api-key.ts';
import type {
  Deployment,
  DeploymentKind,
  Label,
  NewPromptVersion,
  PromptVersion,
} from '../domain/prompt-version.ts';

/** Everything that changed since a revision: new versions (immutable, so only ever added), all labels, all keys. */
export interface RegistryChanges {
  readonly revision: number;
  readonly versions: readonly PromptVersion[];
  readonly labels: readonly Label[];
  readonly keys: readonly ApiKey[];
}

export interface LabelMove {
  readonly promptName: string;
  readonly label: string;
  readonly toVersion: number;
  /** Version the caller believes the label holds (null: none yet). Left out: move whatever it holds. */
  readonly expectedVersion?: number | null;
  readonly kind: DeploymentKind;
  readonly actor: string;
  readonly reason: string | null;
  readonly gitCommit: string | null;
}

/** Port to the registry: prompts, versions, labels, keys. Every write raises the revision in its own transaction. */
export interface RegistryStore {
  /** Current revision: one small read, polled by every gateway. */
  revision(): Promise<number>;
  /** One consistent read of all that changed after `sinceRevision` (0: everything). */
  loadChanges(sinceRevision: number): Promise<RegistryChanges>;
  /** Calls back when some process changed the registry. Resolves also where LISTEN reaches nobody: the poll remains. */
  onChange(listener: () => void): Promise<void>;
  /**
   * Adds a version; the same name, version and checksum again is not an error (`created: false`).
   * @throws PromptgateError conflict — the number is taken by another checksum
   */
  addVersion(version: NewPromptVersion, actor: string): Promise<{ created: boolean; version: PromptVersion }>;
  /**
   * Moves a label and writes the ledger row in one transaction. Moving to where it points already does nothing: null.
   * @throws PromptgateError not_found — no such prompt version; conflict — the label holds another version than expected
   */
  moveLabel(move: LabelMove): Promise<Deployment | null>;
  createKey(key: ApiKey): Promise<void>;
  /** @returns the key as revoked, or undefined when there is none of that id or name */
  revokeKey(idOrName: string): Promise<ApiKey | undefined>;
}
