import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';

export const scopes = ['execute', 'admin'] as const;
export const scopeSchema = z.enum(scopes);
export type Scope = z.infer<typeof scopeSchema>;

/** A key as it is stored: the secret itself exists only in the answer that created it. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  /** First characters of the secret, to recognise it by. */
  readonly prefix: string;
  /** SHA-256 of the secret, hex. The secret has 256 random bits, so a slow hash would add nothing. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
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
}

export function createSecret(): string {
  return `pg_${randomBytes(32).toString('base64url')}`;
}

export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function secretPrefix(secret: string): string {
  return secret.slice(0, 9);
}
