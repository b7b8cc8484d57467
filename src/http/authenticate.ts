import type { MiddlewareHandler } from 'hono';
import type { Actor, Scope } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { HttpEnvironment } from './context.ts';

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
    const secret = c.req.header('authorization')?.match(/^Bearer +(\S+)$/i)?.[1];
    if (!secret) {
      throw new PromptgateError('unauthenticated', 'Send a key: `Authorization: Bearer <key>`.');
    }
    const actor = options.authenticate(secret);
    if (!actor) throw new PromptgateError('unauthenticated', 'The key is unknown or has been revoked.');
    c.set('actor', actor);
    return next();
  };
}

/** `admin` includes every other scope. @throws PromptgateError forbidden */
export function requireScope(actor: Actor, scope: Scope): void {
  if (actor.scopes.includes(scope) || actor.scopes.includes('admin')) return;
  throw new PromptgateError(
    'forbidden',
    `This key lacks the scope "${scope}"; it has: ${actor.scopes.join(', ')}.`,
  );
}
