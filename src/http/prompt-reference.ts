/**
 * How clients that know models, not prompts, name a prompt: `name`, `name@label`, `name@version`, or the `pmpt_…` id of
 * OpenAI that an import kept. Whoever names a model and brings a prompt of its own is let through or told what to do.
 */
import type { Gateway } from '../application/gateway.ts';
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { labelPattern, maxVersionNumber, promptNamePattern } from '../domain/names.ts';
import type { PromptTarget } from './call-prompt.ts';
import type { HttpContext } from './context.ts';

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
  const target = readVersion(path, at, version);
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

/** Of a request that brings its own prompt. */
export const rawTarget = { promptName: '', variables: {} } as const;

/** What a request says where it names no prompt. */
interface RawRequest {
  readonly model?: unknown;
  /** The way of this endpoint to name a prompt. */
  readonly how: string;
  /** Where a prompt would be named; default: `model`. */
  readonly path?: string;
}

/**
 * What a call of a foreign API is to run; undefined: it brings its own prompt, and is let through.
 * @throws PromptgateError invalid_request — such calls are refused; what resolveReference throws
 */
export function readTarget(
  c: HttpContext,
  gateway: Pick<Gateway, 'findImportedPrompt' | 'rawCalls'>,
  reference: PromptReference | undefined,
  { model, how, path = 'model' }: RawRequest,
): PromptTarget | undefined {
  if (reference) {
    const target = resolveReference(gateway, c.get('actor'), reference);
    c.set('promptName', target.promptName);
    return target;
  }
  const naming = `Name a prompt: ${how}; GET /v1/prompts lists them`;
  if (typeof model !== 'string') throw refuse(path, `no prompt is named. ${naming}`);
  c.set('raw', true);
  if (gateway.rawCalls === 'audit') return undefined;
  const refusal = 'this gateway executes prompts by name and takes no raw calls';
  throw refuse(
    path,
    `${refusal}. ${naming}. Who runs the gateway can let raw calls through: PROMPTGATE_RAW=audit`,
  );
}

/** After an @ stands a label or a number; a version of its own is a number, also as text. */
function readVersion(
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
