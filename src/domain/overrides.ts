/** What a call replaces of a definition, and what is left of the definition then. */
import { hashJson } from './canonical-json.ts';
import type { Definition } from './definition.ts';
import { findConfigFault, toMilliseconds } from './definition-keys.ts';
import { type Issue, PromptgateError } from './errors.ts';
import { checkHistory, fromHistory } from './history.ts';
import type { Json, JsonObject } from './json.ts';
import { type Message, type RenderedMessage, toSent } from './message.ts';
import { compileOutput } from './output.ts';
import { findOverrideFault, type Overridable } from './overridable.ts';
import type { Parameters } from './prompt-version.ts';
import type { Tool, ToolChoice } from './tool.ts';

export interface Overrides {
  readonly model?: string;
  /** Each by itself: what is not among them stays as the definition has it. */
  readonly parameters?: Parameters;
  /** In place of all tools of the definition. */
  readonly tools?: readonly Tool[];
  /** Only a call that brings its own prompt says it. */
  readonly toolChoice?: ToolChoice;
  readonly output?: { readonly format: 'text' | 'json'; readonly schema: JsonObject | null };
}

/** How the caller's API says what it overrides, so that messages speak its language. */
export interface OverrideWording {
  /** By the names of `overridable`; a name that is missing is said as it is. */
  readonly spelling: Readonly<Record<string, string>>;
  /** What the API makes every caller say: it counts where the definition lets it, and is no wish where it does not. */
  readonly demanded: readonly string[];
}

/** What a call is run with, when its prompt is rendered. */
export type Runnable = Pick<
  Definition,
  'model' | 'parameters' | 'tools' | 'outputFormat' | 'outputSchema' | 'validateOutput'
> & { readonly toolChoice?: ToolChoice };

/**
 * What of the overrides counts by the list of a definition: the limit of every caller that is an application.
 * @throws PromptgateError invalid_request — with an issue for each that the definition does not allow
 */
export function governOverrides(
  overridable: Overridable,
  overrides: Overrides,
  wording: OverrideWording = { spelling: {}, demanded: [] },
): Overrides {
  const { spelling, demanded } = wording;
  const refused = namedValues(overrides).flatMap(([name, value]) => {
    const message = findOverrideFault(overridable, name, value);
    return message === undefined ? [] : [{ name, path: spelling[name] ?? name, message }];
  });
  const issues = refused.filter(({ name }) => !demanded.includes(name));
  if (issues.length > 0) throw refuseIssues(issues.map(({ path, message }) => ({ path, message })));
  return refused.length === 0 ? overrides : without(overrides, new Set(refused.map(({ name }) => name)));
}

function namedValues({ model, parameters = {}, tools, toolChoice, output }: Overrides): [string, Json][] {
  const { timeoutMs, ...config } = parameters;
  const whole = { tools: tools && true, toolChoice: toolChoice && true, output: output && true };
  const named: [string, unknown][] = Object.entries({ model, ...config, timeout: timeoutMs, ...whole });
  return named.filter((entry): entry is [string, Json] => entry[1] !== undefined);
}

/** Only parameters are ever demanded. */
function without({ parameters = {}, ...rest }: Overrides, names: ReadonlySet<string>): Overrides {
  const kept = Object.entries(parameters).filter(([name]) => !names.has(name));
  return kept.length === 0 ? rest : { ...rest, parameters: Object.fromEntries(kept) };
}

/**
 * The definition as it is run. A schema that the caller brings guides the model and is not compiled: whether the answer
 * fits is the caller's to check.
 */
export function applyOverrides(
  definition: Definition,
  overrides: Overrides,
): Definition & Pick<Runnable, 'toolChoice'> {
  const { model, parameters, tools, toolChoice, output } = overrides;
  return {
    ...definition,
    ...(model === undefined ? {} : { model }),
    ...(parameters === undefined ? {} : { parameters: { ...definition.parameters, ...parameters } }),
    ...(tools === undefined ? {} : { tools }),
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(output === undefined ? {} : toOutput(output)),
  };
}

/** A call that brings its own prompt: all of its definition is what it says. */
export function toRawRunnable(overrides: Overrides): Runnable {
  const { model = '', parameters = {}, tools = [], toolChoice, output } = overrides;
  const { outputFormat, outputSchema } = toOutput(output ?? { format: 'text', schema: null });
  // Nothing was promised, so nothing is checked: the caller hears what the model said.
  return {
    ...{ model, parameters, tools, outputFormat, outputSchema, validateOutput: () => [] },
    ...(toolChoice === undefined ? {} : { toolChoice }),
  };
}

/** What such a call sends: its messages as they are. @throws PromptgateError invalid_request — there are none */
export function renderRaw(messages: readonly Message[]): {
  messages: RenderedMessage[];
  renderedHash: string;
} {
  if (messages.length === 0) throw refuseIssues([{ path: 'messages', message: 'a raw call brings its own' }]);
  // Instructions are the caller's own here; whatever else holds of a conversation holds of this one.
  checkHistory(
    messages.map((message) => (message.role === 'system' ? { ...message, role: 'user' } : message)),
    true,
  );
  return {
    messages: messages.map(fromHistory),
    renderedHash: hashJson(messages.map(toSent)),
  };
}

function toOutput({ format, schema }: NonNullable<Overrides['output']>) {
  return { outputFormat: format, outputSchema: schema, validateOutput: compileOutput(format, null) };
}

/**
 * Parameters that were written by the names of `config`. @param spelling what each is called where it was written
 * @throws PromptgateError invalid_request — with an issue for each that no definition could have
 */
export function readParameters(written: JsonObject, spelling: Readonly<Record<string, string>>): Parameters {
  const issues = Object.entries(written).flatMap(([name, value]) => {
    const fault = findConfigFault(name, value);
    return fault === undefined ? [] : [{ path: spelling[name] ?? name, message: `must be ${fault}` }];
  });
  if (issues.length > 0) throw refuseIssues(issues);
  const { timeout, ...parameters } = written;
  if (timeout === undefined) return parameters as Parameters;
  return { ...parameters, timeoutMs: toMilliseconds(timeout as string | number)! } as Parameters;
}

function refuseIssues(issues: readonly Issue[]): PromptgateError {
  const [first] = issues;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  return new PromptgateError('invalid_request', `${first?.path}: ${first?.message}${more}.`, { issues });
}
