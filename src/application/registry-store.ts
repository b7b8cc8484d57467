import type { ApiKey } from '../domain/api-key.ts';
import type { GateRequirements } from '../domain/gate.ts';
import type {
  ArchiveFact,
  Deployment,
  DeploymentKind,
  Label,
  LabelPolicy,
  NewPromptVersion,
  PromptVersion,
} from '../domain/prompt-version.ts';

/** Everything that changed since a revision: new versions (immutable, so only ever added), and all of the rest. */
export interface RegistryChanges {
  readonly revision: number;
  readonly versions: readonly PromptVersion[];
  readonly labels: readonly Label[];
  /** The latest fact of each version and prompt that has one. */
  readonly archives: readonly ArchiveFact[];
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
  /**
   * Looks at the move inside its transaction, when both ends are certain, and throws to refuse it. `held` is null where
   * the label holds nothing.
   */
  readonly review?: (held: PromptVersion | null, target: PromptVersion) => void;
}

/** Left out `toVersion`: what the ledger says ran before. */
export type Rollback = Omit<LabelMove, 'toVersion' | 'kind' | 'review'> & {
  readonly toVersion?: number;
  /** Ledger row that the caller believes to be the last one of the label. Left out: whichever it is. */
  readonly expectedDeployment?: number;
};

/** What a label held at a time: the ledger row that put it there, and whether the label was gated then. */
export interface HeldLabel {
  readonly deployment: Deployment;
  readonly gated: boolean;
}

/** What is left out stays as it is. */
export type LabelPolicyChange = Pick<LabelPolicy, 'label' | 'actor' | 'reason'> &
  Partial<Pick<LabelPolicy, 'promptName' | 'gated' | 'movers'>> & {
    readonly requirements?: Partial<GateRequirements>;
  };

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
   * @throws PromptgateError conflict — the number is taken by another checksum, or is older than the newest and
   * `allowBackfill` is not said
   */
  addVersion(
    version: NewPromptVersion,
    actor: string,
    options?: { readonly allowBackfill?: boolean },
  ): Promise<{ created: boolean; version: PromptVersion }>;
  /**
   * Moves a label and writes the ledger row in one transaction. Moving to where it points already does nothing: null.
   * A sync that takes the label back to an older version that it held is recorded as the rollback that it is, and the
   * glass is broken only where the gate would have refused a deploy.
   * @throws PromptgateError not_found — no such prompt version; conflict — the label holds another version than
   * expected, or the database does not allow it: archived, gated
   */
  moveLabel(move: LabelMove): Promise<Deployment | null>;
  /** Why the database would not allow a sync to make this move; null when it would. */
  explainRefusal(
    move: Pick<LabelMove, 'promptName' | 'label' | 'toVersion' | 'actor'>,
  ): Promise<string | null>;
  /**
   * Moves a label to what its ledger says ran before, or to a version that it held, in one transaction.
   * @throws PromptgateError not_found — the label was never set; conflict — nothing ran before, or as `moveLabel`
   */
  rollBack(rollback: Rollback): Promise<Deployment>;
  /** The ledger of a prompt, or of one of its labels: newest first; `before` is the id of a row. */
  listDeployments(
    promptName: string,
    page: { label?: string; limit: number; before?: number },
  ): Promise<Deployment[]>;
  /** What every label held at a time (null: now), read from the ledger alone. */
  labelsAt(at: Date | null): Promise<HeldLabel[]>;
  /**
   * Records a fact; one that holds already is not recorded again: null.
   * @throws PromptgateError not_found — no such prompt or version
   */
  archive(fact: Omit<ArchiveFact, 'createdAt'>): Promise<ArchiveFact | null>;
  /** Records a fact; one that holds already is not recorded again: null. */
  setLabelPolicy(policy: LabelPolicyChange): Promise<LabelPolicy | null>;
  /** Every fact about a label, newest first. */
  listLabelPolicies(label: string): Promise<LabelPolicy[]>;
  createKey(key: ApiKey): Promise<void>;
  /** @returns the key as revoked, or undefined when there is none of that id or name */
  revokeKey(idOrName: string): Promise<ApiKey | undefined>;
}
