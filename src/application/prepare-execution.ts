/**
 * Everything that is decided before an execution is admitted: who may, which version, which messages, which provider.
 * What can be refused is refused here, before anything is written or sent.
 */

import { type Definition, type RenderedPrompt, renderPrompt } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Admission, ExecutionPurpose, InputPayload } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { formatPath } from '../domain/json-path.ts';
import type { RenderedMessage } from '../domain/message.ts';
import {
  applyOverrides,
  governOverrides,
  type Overrides,
  type Runnable,
  renderRaw,
  toRawRunnable,
} from '../domain/overrides.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import { findJsonFault, toWritableJson, toWritableText } from '../domain/writable-text.ts';
import { authorizeAnyVersion, authorizeLabel, authorizePrompt, authorizeRawCall } from './authorize.ts';
import type { ExecuteDependencies, ExecuteRequest } from './execute-prompt.ts';
import { newId } from './new-id.ts';
import type { ModelRoute, Providers } from './provider.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export const defaultLabel = 'production';

/** What the gateway worked out before it admitted the call. */
export interface Prepared {
  readonly definition: Runnable;
  readonly route: ModelRoute;
  readonly messages: readonly RenderedMessage[];
  readonly admission: Admission;
}

/**
 * Who calls for an application is held to the list of the definition. A replay asks what another model or setting would
 * have said of the same call: nothing limits it but the right to replay.
 */
const unlimited: readonly ExecutionPurpose[] = ['replay'];

/** What is known of a call before anything of it is checked. */
export function draftAdmission(request: ExecuteRequest): Admission {
  const { draft, overrides } = request;
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
      ...(overrides ? { overrides } : {}),
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
    purpose: purposeOf(request),
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
  deps: Pick<ExecuteDependencies, 'snapshot' | 'providers' | 'rawCalls'>,
  request: ExecuteRequest,
  draft: Admission,
): Prepared {
  if (request.label !== undefined && request.version !== undefined) {
    throw new PromptgateError('invalid_request', 'Name a label or a version, not both.');
  }
  refuseUnwritable('messages', request.messages);
  refuseUnwritable('metadata', request.metadata);
  refuseUnwritable('overrides', request.overrides);
  const { definition, registered, overrides, rendered } = readCall(deps, request);
  const route = findRoute(deps.providers, definition, overrides, registered);
  const { overrides: _asked, ...payload } = draft.inputPayload;
  const admission: Admission = {
    ...draft,
    promptVersionId: registered?.id ?? null,
    promptVersion: registered?.version ?? null,
    inputPayload: overrides ? { ...payload, overrides } : payload,
    parameters: { ...definition.parameters } as JsonObject,
    renderedHash: rendered.renderedHash,
    variablesHash: rendered.variablesHash,
    provider: route.provider,
    model: route.model,
    simulated: route.simulated,
  };
  return { definition, route, messages: rendered.messages, admission };
}

/** What a request says, before it is known who would answer it. */
export interface ReadCall {
  readonly definition: Runnable;
  readonly registered: PromptVersion | undefined;
  /** Those that count; undefined where there are none. */
  readonly overrides: Overrides | undefined;
  readonly rendered: Omit<RenderedPrompt, 'variables' | 'variablesHash'> & {
    readonly variablesHash: string | null;
  };
}

/** Resolves, checks and renders. @throws PromptgateError — whatever of the request itself can be refused */
export function readCall(
  deps: Pick<ExecuteDependencies, 'snapshot' | 'rawCalls'>,
  request: ExecuteRequest,
): ReadCall {
  return request.raw ? readRawCall(deps, request) : readPromptCall(deps.snapshot, request);
}

function readPromptCall(snapshot: RegistrySnapshot, request: ExecuteRequest): ReadCall {
  authorizePrompt(request.actor, request.promptName);
  const label = labelOf(request);
  if (label === null) authorizeAnyVersion(request.actor);
  else authorizeLabel(request.actor, label);
  const resolved = resolve(snapshot, request, label);
  const overrides = limitOverrides(resolved.definition, request);
  const definition = overrides ? applyOverrides(resolved.definition, overrides) : resolved.definition;
  const rendered = renderPrompt(definition, request.variables, request.messages);
  return { definition, registered: resolved.registered, overrides, rendered };
}

function limitOverrides({ overridable }: Definition, request: ExecuteRequest): Overrides | undefined {
  const { overrides, wording } = request;
  if (!overrides || unlimited.includes(purposeOf(request))) return overrides;
  const counted = governOverrides(overridable, overrides, wording);
  return Object.keys(counted).length === 0 ? undefined : counted;
}

function readRawCall(deps: Pick<ExecuteDependencies, 'rawCalls'>, request: ExecuteRequest): ReadCall {
  const { actor, variables, overrides = {}, messages = [] } = request;
  if (purposeOf(request) === 'raw') authorizeRawCall(actor, deps.rawCalls);
  if (Object.keys(variables).length > 0) {
    throw new PromptgateError('invalid_request', 'A raw call has no variables: they belong to a prompt.');
  }
  return {
    definition: toRawRunnable(overrides),
    registered: undefined,
    overrides,
    rendered: { ...renderRaw(messages), variablesHash: null },
  };
}

/** What the caller chose is the caller's to mend; what the definition says is the platform team's. */
function findRoute(
  providers: Pick<Providers, 'route' | 'problemsOf'>,
  { model, parameters }: Runnable,
  overrides: Overrides | undefined,
  registered: PromptVersion | undefined,
): ModelRoute {
  const [problem] = overrides ? providers.problemsOf(model, parameters) : [];
  if (problem) throw new PromptgateError('invalid_request', `This call cannot be made: ${problem}.`);
  const route = providers.route(model);
  if (route) return route;
  const whose = registered ? ` of ${registered.name} version ${registered.version}` : '';
  throw new PromptgateError(
    'provider_misconfigured',
    `No configured provider takes the model "${model}"${whose}. Set the provider's key, or name the model as provider/model; \`promptgate config\` shows what is configured.`,
  );
}

function purposeOf({ purpose, raw }: ExecuteRequest): ExecutionPurpose {
  return purpose ?? (raw ? 'raw' : 'call');
}

/** Null: the caller names a version, or brings what is to run. */
function labelOf({ label, version, draft, raw }: ExecuteRequest): string | null {
  return version === undefined && !draft && !raw ? (label ?? defaultLabel) : null;
}

function resolve(
  snapshot: RegistrySnapshot,
  { actor, promptName, version, draft }: ExecuteRequest,
  label: string | null,
): { definition: Definition; registered: PromptVersion | undefined } {
  if (draft) return { definition: draft, registered: undefined };
  const target = label === null ? { version: version as number } : { label };
  const { definition, version: registered } = snapshot.resolve(promptName, target, actor);
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
