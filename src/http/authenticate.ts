import type { MiddlewareHandler } from 'hono';
import type { Actor, Scope } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';

/** Key → actor, from memory. @throws PromptgateError unauthenticated */
export function authenticate(options: {
  authenticate: (secret: string) => Actor | undefined;
}): MiddlewareHandler<HttpEnvironment> {
  return async function authenticate(c, next) {
    const inProcess = c.env?.actor;
    if (inProcess) {
      c.set('actor', inProcess);
      return next();
    }
    const secret = readSecret(c);
    if (!secret) {
      throw new PromptgateError('unauthenticated', 'Send a key: `Authorization: Bearer <key>`.');
    }
    const actor = options.authenticate(secret);
    if (!actor) throw new PromptgateError('unauthenticated', 'The key is unknown or has been revoked.');
    c.set('actor', actor);
    return next();
  };
}

/** Other APIs have headers of their own for a key: their clients need not learn ours. */
function readSecret(c: HttpContext): string | undefined {
  const bearer = c.req.header('authorization')?.match(/^Bearer +(\S+)$/i)?.[1];
  return bearer ?? c.req.header('x-api-key') ?? c.req.header('x-portkey-api-key');
}

/** `admin` includes every other scope. @throws PromptgateError forbidden */
export function requireScope(actor: Actor, scope: Scope): void {
  if (actor.scopes.includes(scope) || actor.scopes.includes('admin')) return;
  throw new PromptgateError(
    'forbidden',
    `This key lacks the scope "${scope}"; it has: ${actor.scopes.join(', ')}.`,
  );
}
