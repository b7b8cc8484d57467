import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';

/** `publish` adds versions, `deploy` moves labels, `break_glass` past their gates, `admin` includes every other one. */
export const scopes = ['execute', 'publish', 'deploy', 'break_glass', 'admin'] as const;
export const scopeSchema = z.enum(scopes);
export type Scope = z.infer<typeof scopeSchema>;

/** What a key is limited to. Null: not limited. */
export interface KeyLimits {
  /** Globs of prompt names; `*` stands for any characters. */
  readonly prompts: readonly string[] | null;
  readonly labels: readonly string[] | null;
  /** Whether it may call without a prompt; absent: only when the key is limited to nothing. */
  readonly raw?: boolean;
}

/** A key as it is stored: the secret itself exists only in the answer that created it. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  /** First characters of the secret, to recognise it by. */
  readonly prefix: string;
  /** SHA-256 of the secret, hex. The secret has 256 random bits, so a slow hash would add nothing. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly limits: KeyLimits;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly revokedAt: Date | null;
}

/** Who acts, for scopes and for the audit: a key, the CLI or the system. */
export interface Actor {
  /** `key:<name>`, `cli:<user>` or `system`. */
  readonly name: string;
  readonly keyId: string | null;
  readonly scopes: readonly Scope[];
  /** Absent for the CLI and the system, which have none. */
  readonly limits?: KeyLimits;
}

export function createSecret(): string {
  return `pg_${randomBytes(32).toString('base64url')}`;
}

export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}

export function secretPrefix(secret: string): string {
  return secret.slice(0, 9);
}
