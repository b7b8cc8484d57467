/**
 * How clients that know models, not prompts, name a prompt: `name`, `name@label`, `name@version`, or the `pmpt_…` id of
 * OpenAI that an import kept. Whoever names a model and brings a prompt of its own is told what to do instead.
 */
import type { Gateway } from '../application/gateway.ts';
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { labelPattern, maxVersionNumber, promptNamePattern } from '../domain/names.ts';
import type { PromptTarget } from './call-prompt.ts';

export interface PromptReference {
  /** Where in the body it stands, e.g. `prompt.id`. */
  readonly path: string;
  readonly id: string;
  readonly version?: string | number | undefined;
}

/** @throws PromptgateError invalid_request, and what findImportedPrompt throws */
export function resolveReference(
  gateway: Pick<Gateway, 'findImportedPrompt'>,
  actor: Actor,
  { path, id, version }: PromptReference,
): PromptTarget {
  const [name = '', ...rest] = id.split('@');
  const at = rest.length > 0 ? rest.join('@') : undefined;
  const imported = /^pmpt_\w{1,200}$/.test(name);
  if (!imported && !promptNamePattern.test(name)) {
    throw refuse(path, 'name a prompt as `name` or `name@label`; GET /v1/prompts lists them');
  }
  if (at !== undefined && version !== undefined) {
    throw refuse(path, 'name a label or version after the @, or send a version: not both');
  }
  const target = readTarget(path, at, version);
  if (!imported) return { promptName: name, ...target };
  return { ...target, ...gateway.findImportedPrompt(actor, name, target.version) };
}

const modelPrefix = 'prompt/';

/** The prompt that `model: "prompt/name@label"` names; undefined when the model is a model. */
export function readModelReference(model: unknown): PromptReference | undefined {
  if (typeof model !== 'string' || !model.startsWith(modelPrefix)) return undefined;
  return { path: 'model', id: model.slice(modelPrefix.length) };
}

export function toModelReference(promptName: string, label: string): string {
  return `${modelPrefix}${promptName}@${label}`;
}

/** The prompt that LiteLLM's `prompt_id`, or else the model, names; undefined when neither does. */
export function findReference(body: {
  readonly model?: unknown;
  readonly prompt_id?: string | null | undefined;
  readonly prompt_version?: string | number | null | undefined;
}): PromptReference | undefined {
  const version = body.prompt_version ?? undefined;
  if (body.prompt_id) return { path: 'prompt_id', id: body.prompt_id, version };
  const named = readModelReference(body.model);
  return named && { ...named, version };
}

/** @param how the way of this endpoint to name a prompt */
export function refuseRawCall(path: string, how: string): PromptgateError {
  return refuse(
    path,
    `this gateway executes prompts by name and takes no raw calls. Name a prompt: ${how}; GET /v1/prompts lists them`,
  );
}

/** After an @ stands a label or a number; a version of its own is a number, also as text. */
function readTarget(
  path: string,
  at: string | undefined,
  version: string | number | undefined,
): Pick<PromptTarget, 'label' | 'version'> {
  if (at !== undefined && labelPattern.test(at)) return { label: at };
  const given = at ?? version;
  if (given === undefined) return {};
  const number = /^\d{1,10}$/.test(String(given)) ? Number(given) : 0;
  if (Number.isInteger(number) && number >= 1 && number <= maxVersionNumber) return { version: number };
  throw refuse(path, 'a version is a number from 1; a label comes after the name, as in `name@label`');
}

function refuse(path: string, message: string): PromptgateError {
  return new PromptgateError('invalid_request', `${path}: ${message}.`, { issues: [{ path, message }] });
}
