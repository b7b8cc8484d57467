import { InvalidArgumentError } from 'commander';
import { PromptgateError } from '../domain/errors.ts';

/** `3` or `v3`, as tables print it. @throws PromptgateError invalid_request */
export function readVersion(text: string): number {
  const version = /^v?([1-9]\d{0,9})$/.exec(text)?.[1];
  if (version) return Number(version);
  throw new PromptgateError('invalid_request', 'A version is its number, e.g. 3.');
}

/** @throws InvalidArgumentError */
export function readCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError('It is a whole number from 1.');
}
