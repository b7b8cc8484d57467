/** What an execution would send, without sending it: no provider is called, so there is no row. */
import type { Actor } from '../domain/api-key.ts';
import { renderPrompt } from '../domain/definition.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Message, RenderedMessage } from '../domain/message.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import { authorizeAnyVersion, authorizeLabel, authorizePrompt } from './authorize.ts';
import { defaultLabel } from './prepare-execution.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export interface RenderRequest {
  readonly actor: Actor;
  readonly promptName: string;
  /** Label or version; neither means the label `production`. */
  readonly label?: string | undefined;
  readonly version?: number | undefined;
  readonly variables: JsonObject;
  readonly messages?: readonly Message[] | undefined;
}

export interface Rendered {
  readonly version: PromptVersion;
  readonly messages: readonly RenderedMessage[];
}

/** @throws PromptgateError forbidden, not_found, invalid_variables, invalid_request */
export function renderVersion(snapshot: RegistrySnapshot, request: RenderRequest): Rendered {
  const { actor, promptName, version, label = defaultLabel } = request;
  authorizePrompt(actor, promptName);
  if (version === undefined) authorizeLabel(actor, label);
  else authorizeAnyVersion(actor);
  const resolved = snapshot.resolve(promptName, version === undefined ? { label } : { version });
  const { messages } = renderPrompt(resolved.definition, request.variables, request.messages);
  return { version: resolved.version, messages };
}
