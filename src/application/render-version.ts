/** What an execution would send, without sending it: no provider is called, so there is no row. */
import type { Actor } from '../domain/api-key.ts';
import { type Definition, renderPrompt } from '../domain/definition.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Message, RenderedMessage } from '../domain/message.ts';
import {
  applyOverrides,
  governOverrides,
  type Overrides,
  type OverrideWording,
} from '../domain/overrides.ts';
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
  readonly overrides?: Overrides | undefined;
  readonly wording?: OverrideWording | undefined;
}

export interface Rendered {
  /** As it would be run. */
  readonly definition: Definition;
  readonly messages: readonly RenderedMessage[];
}

/** @throws PromptgateError forbidden, not_found, invalid_variables, invalid_request */
export function renderVersion(snapshot: RegistrySnapshot, request: RenderRequest): Rendered {
  const { actor, promptName, version, label = defaultLabel } = request;
  authorizePrompt(actor, promptName);
  if (version === undefined) authorizeLabel(actor, label);
  else authorizeAnyVersion(actor);
  const resolved = snapshot.resolve(promptName, version === undefined ? { label } : { version }, actor);
  const overrides = governOverrides(
    resolved.definition.overridable,
    request.overrides ?? {},
    request.wording,
  );
  const definition = applyOverrides(resolved.definition, overrides);
  const { messages } = renderPrompt(definition, request.variables, request.messages);
  return { definition, messages };
}
