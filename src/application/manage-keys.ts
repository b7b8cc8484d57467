import {
  type Actor,
  type ApiKey,
  createSecret,
  hashSecret,
  type KeyLimits,
  type Scope,
  secretPrefix,
} from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { newId } from './new-id.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';

interface Dependencies {
  readonly registry: RegistryStore;
  readonly snapshot: RegistrySnapshot;
}

/**
 * Makes a key. The secret is in this answer and nowhere else.
 * @throws PromptgateError invalid_request — limits beside `admin`, which could make itself a key without them
 * @throws PromptgateError conflict — a key of that name is in use
 */
export async function createKey(
  deps: Dependencies,
  request: { actor: Actor; name: string; scopes: readonly Scope[]; limits?: KeyLimits },
): Promise<{ key: ApiKey; secret: string }> {
  const limits = request.limits ?? { prompts: null, labels: null };
  if (request.scopes.includes('admin') && (limits.prompts || limits.labels || limits.raw === false)) {
    throw new PromptgateError(
      'invalid_request',
      'A key with the scope "admin" cannot be limited: it could create one that is not. Give it "publish" or "deploy" instead.',
    );
  }
  const secret = createSecret();
  const key: ApiKey = {
    id: newId(),
    name: request.name,
    prefix: secretPrefix(secret),
    hash: hashSecret(secret),
    scopes: request.scopes,
    limits,
    createdAt: new Date(),
    createdBy: request.actor.name,
    revokedAt: null,
  };
  await deps.registry.createKey(key);
  await deps.snapshot.refresh();
  return { key, secret };
}

/** @throws PromptgateError not_found */
export async function revokeKey(deps: Dependencies, idOrName: string): Promise<ApiKey> {
  const key = await deps.registry.revokeKey(idOrName);
  if (!key) throw new PromptgateError('not_found', 'There is no active key of that id or name.');
  await deps.snapshot.refresh();
  return key;
}

/** The actor behind a secret, from memory; undefined when the key is unknown or revoked. */
export function authenticate(snapshot: RegistrySnapshot, secret: string): Actor | undefined {
  const key = snapshot.findKey(hashSecret(secret));
  if (!key || key.revokedAt) return undefined;
  return { name: `key:${key.name}`, keyId: key.id, scopes: key.scopes, limits: key.limits };
}
