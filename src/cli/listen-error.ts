import { PromptgateError } from '../domain/errors.ts';

/** Why an address cannot be had. */
export function listenError(error: unknown, host: string, port: number): PromptgateError {
  const code = (error as { code?: unknown }).code;
  const why = code === 'EADDRINUSE' ? 'is in use; set PORT to another' : 'cannot be listened on';
  return new PromptgateError('invalid_request', `${host}:${port} ${why}.`, { cause: error });
}
