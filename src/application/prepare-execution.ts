/**
 * Everything that is decided before an execution is admitted: who may, which version, which messages, which provider.
 * What can be refused is refused here, before anything is written or sent.
 */
import { v7 as newId } from 'uuid';
import { type Definition, renderPrompt } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Admission, InputPayload } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { formatPath } from '../domain/json-path.ts';
import type { RenderedMessage } from '../domain/message.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import { findJsonFault, toWritableJson, toWritableText } from '../domain/writable-text.ts';
import { authorizeAnyVersion, authorizeLabel, authorizePrompt } from './authorize.ts';
import type { ExecuteDependencies, ExecuteRequest } from './execute-prompt.ts';
import type { ModelRoute } from './provider.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export const defaultLabel = 'production';

/** What the gateway worked out before it admitted the call. */
export interface Prepared {
  readonly definition: Definition;
  readonly route: ModelRoute;
  readonly messages: readonly RenderedMessage[];
  readonly admission: Admission;
}

/** What is known of a call before anything of it is checked. */
export function draftAdmission(request: ExecuteRequest): Admission {
  const { draft } = request;
  return {
    id: newId(),
    promptName: request.promptName,
    promptVersionId: null,
    promptVersion: request.version ?? null,
    label: labelOf(request),
    inputPayload: {
      variables: request.variables,
      ...(request.messages ? { messages: request.messages } : {}),
      ...(draft ? { definition: { source: draft.source, partials: draft.partials } } : {}),
    },
    parameters: {},
    renderedHash: null,
    variablesHash: null,
    provider: null,
    model: null,
    simulated: false,
    keyId: request.actor.keyId,
    actor: request.actor.name,
    requestId: request.requestId,
    traceId: request.trace?.traceId ?? null,
    idempotencyKey: request.idempotencyKey ?? null,
    replayOf: request.replayOf ?? null,
    purpose: request.purpose ?? 'call',
    runId: request.runId ?? null,
    metadata: request.metadata ?? {},
    startedAt: new Date(),
  };
}

/**
 * The caller's own text as the database can hold it. Only refusals need this: whatever is admitted has been proven
 * writable. Names are bounded, so that a hostile one is still only a row.
 */
export function toWritableDraft(draft: Admission): Admission {
  return {
    ...draft,
    promptName: toWritableText(draft.promptName.slice(0, 128)).text,
    label: draft.label && toWritableText(draft.label.slice(0, 64)).text,
    inputPayload: toWritableJson(draft.inputPayload as unknown as Json) as unknown as InputPayload,
    metadata: toWritableJson(draft.metadata as JsonObject) as JsonObject,
  };
}

/** @throws PromptgateError — whatever can be refused before the intent */
export function prepareExecution(
  deps: Pick<ExecuteDependencies, 'snapshot' | 'providers'>,
  request: ExecuteRequest,
  draft: Admission,
): Prepared {
  if (request.label !== undefined && request.version !== undefined) {
    throw new PromptgateError('invalid_request', 'Name a label or a version, not both.');
  }
  refuseUnwritable('messages', request.messages);
  refuseUnwritable('metadata', request.metadata);
  authorizePrompt(request.actor, request.promptName);
  const label = labelOf(request);
  if (label === null) authorizeAnyVersion(request.actor);
  else authorizeLabel(request.actor, label);
  const { definition, registered } = resolve(deps.snapshot, request, label);
  const rendered = renderPrompt(definition, request.variables, request.messages);
  const route = deps.providers.route(definition.model);
  if (!route) {
    throw new PromptgateError(
      'provider_misconfigured',
      `No configured provider takes the model "${definition.model}" of ${definition.name} version ${definition.version}. Set the provider's key, or name the model as provider/model; \`promptgate config\` shows what is configured.`,
    );
  }
  const admission: Admission = {
    ...draft,
    promptVersionId: registered?.id ?? null,
    promptVersion: registered?.version ?? null,
    parameters: { ...definition.parameters } as JsonObject,
    renderedHash: rendered.renderedHash,
    variablesHash: rendered.variablesHash,
    provider: route.provider,
    model: route.model,
    simulated: route.simulated,
  };
  return { definition, route, messages: rendered.messages, admission };
}

/** Null: the caller names a version, or brings what is to run. */
function labelOf({ label, version, draft }: ExecuteRequest): string | null {
  return version === undefined && !draft ? (label ?? defaultLabel) : null;
}

function resolve(
  snapshot: RegistrySnapshot,
  { promptName, version, draft }: ExecuteRequest,
  label: string | null,
): { definition: Definition; registered: PromptVersion | undefined } {
  if (draft) return { definition: draft, registered: undefined };
  const target = label === null ? { version: version as number } : { label };
  const { definition, version: registered } = snapshot.resolve(promptName, target);
  return { definition, registered };
}

function refuseUnwritable(part: string, value: unknown): void {
  const fault = value === undefined ? undefined : findJsonFault(value, { prototypeNames: true });
  if (!fault) return;
  const path = formatPath([part, ...fault.path]);
  throw new PromptgateError('invalid_request', `The request cannot be recorded: ${path} ${fault.message}.`, {
    issues: [{ path, message: fault.message }],
  });
}
