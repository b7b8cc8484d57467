/** The verbs of a running gateway, bound to their dependencies: what HTTP offers, and nothing below it. */
import type { Actor, ApiKey, KeyLimits, Scope } from '../domain/api-key.ts';
import type { PromptgateError } from '../domain/errors.ts';
import type { Execution, StoredExecution } from '../domain/execution.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import type { AuditStore, ExecutionFilter } from './audit-store.ts';
import {
  type ExecuteDependencies,
  type ExecuteRequest,
  executePrompt,
  refuseExecution,
} from './execute-prompt.ts';
import { authenticate, createKey, revokeKey } from './manage-keys.ts';
import { type MoveLabelRequest, moveLabel } from './move-label.ts';
import { getExecution, listExecutions } from './read-executions.ts';
import type { PromptEntry, RegistrySnapshot, SnapshotHealth } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';
import { type SyncReport, type SyncRequest, syncPrompts } from './sync-prompts.ts';

export interface Gateway {
  authenticate(secret: string): Actor | undefined;
  executePrompt(request: ExecuteRequest): Promise<Execution>;
  refuseExecution(
    request: Omit<ExecuteRequest, 'variables'>,
    error: PromptgateError,
  ): Promise<PromptgateError>;
  getExecution(actor: Actor, id: string): Promise<StoredExecution>;
  listExecutions(
    actor: Actor,
    filter: ExecutionFilter,
    page: { limit: number; before?: string },
  ): Promise<{ executions: StoredExecution[]; nextCursor: string | null }>;
  listPrompts(): PromptEntry[];
  findPrompt(name: string): PromptEntry | undefined;
  syncPrompts(request: SyncRequest): Promise<SyncReport>;
  moveLabel(request: MoveLabelRequest): Promise<Deployment | null>;
  createKey(request: {
    actor: Actor;
    name: string;
    scopes: readonly Scope[];
    limits?: KeyLimits;
  }): Promise<{ key: ApiKey; secret: string }>;
  listKeys(): ApiKey[];
  revokeKey(idOrName: string): Promise<ApiKey>;
  health(): SnapshotHealth;
}

export function createGateway(
  deps: ExecuteDependencies & { registry: RegistryStore; audit: AuditStore; snapshot: RegistrySnapshot },
): Gateway {
  const { audit, snapshot } = deps;
  return {
    authenticate: (secret) => authenticate(snapshot, secret),
    executePrompt: (request) => executePrompt(deps, request),
    refuseExecution: (request, error) => refuseExecution(deps, request, error),
    getExecution: (actor, id) => getExecution(audit, actor, id),
    listExecutions: (actor, filter, page) => listExecutions(audit, actor, filter, page),
    listPrompts: () => snapshot.list(),
    findPrompt: (name) => snapshot.find(name),
    syncPrompts: (request) => syncPrompts(deps, request),
    moveLabel: (request) => moveLabel(deps, request),
    createKey: (request) => createKey(deps, request),
    listKeys: () => snapshot.listKeys(),
    revokeKey: (idOrName) => revokeKey(deps, idOrName),
    health: () => snapshot.health(),
  };
}
