/** Refuses what the limits of a key exclude. Every verb that names a prompt or a label asks here. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { mayCallRaw, mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import type { RawCalls } from './execute-prompt.ts';

/** @throws PromptgateError forbidden */
export function authorizePrompt(actor: Actor, promptName: string): void {
  if (mayUsePrompt(actor, promptName)) return;
  throw new PromptgateError(
    'forbidden',
    `This key may not use that prompt; it is limited to ${list(actor.limits?.prompts)}.`,
  );
}

/** @throws PromptgateError forbidden */
export function authorizeLabel(actor: Actor, label: string): void {
  if (mayUseLabel(actor, label)) return;
  throw new PromptgateError(
    'forbidden',
    `This key may not use that label; it is limited to ${list(actor.limits?.labels)}.`,
  );
}

/** A version named by its number is behind no label, so only a key that is limited to none may name it. @throws forbidden */
export function authorizeAnyVersion(actor: Actor): void {
  if (!actor.limits?.labels) return;
  throw new PromptgateError(
    'forbidden',
    `This key may not name a version; it is limited to the labels ${list(actor.limits.labels)}.`,
  );
}

/**
 * A call without a prompt: the gateway has to take such calls, and the key to make them.
 * @throws PromptgateError invalid_request — the gateway takes none; forbidden
 */
export function authorizeRawCall(actor: Actor, rawCalls: RawCalls): void {
  if (rawCalls === 'refuse') {
    throw new PromptgateError(
      'invalid_request',
      'This gateway takes no raw calls: name a prompt. PROMPTGATE_RAW=audit lets them through.',
    );
  }
  if (mayCallRaw(actor)) return;
  const why = actor.limits?.raw === false ? 'it was made without' : 'it is limited to prompts or labels';
  throw new PromptgateError(
    'forbidden',
    `This key may not make raw calls: ${why}. Name a prompt, or use a key that was created with --raw allow.`,
  );
}

function list(items: readonly string[] | null | undefined): string {
  return items?.length ? items.join(', ') : 'none';
}
