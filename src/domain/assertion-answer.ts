/** Assertions about an answer besides its text: time, money, how it ended, what it asks its caller to run. */
import {
  AssertionCrash,
  type AssertionSpec,
  type CompileAssertion,
  type Complain,
  type JudgedAnswer,
  type Match,
} from './assertion-type.ts';
import { canonicalJson } from './canonical-json.ts';
import { finishReasons } from './execution.ts';
import type { Json, JsonObject } from './json.ts';
import { compileSchema } from './json-schema.ts';
import { looksRefused } from './refusal-text.ts';
import { parseArguments, type ToolCall } from './tool.ts';

export const answerTypes: Readonly<Record<string, CompileAssertion>> = {
  latency: compileLatency,
  cost: compileCost,
  'finish-reason': compileFinish,
  'is-refusal': () => findRefusal,
  'is-valid-openai-tools-call': () => findInvalidCall,
  'tool-called': compileToolCalled,
};

function compileLatency({ threshold }: AssertionSpec, complain: Complain) {
  if (threshold === undefined) {
    complain('threshold', '`latency` needs a `threshold` in milliseconds.');
    return undefined;
  }
  return ({ latencyMs }: JudgedAnswer): Match => ({
    match: latencyMs <= threshold,
    why: `it took ${Math.round(latencyMs)} ms, and the threshold is ${threshold} ms`,
  });
}

function compileCost({ threshold }: AssertionSpec, complain: Complain) {
  if (threshold === undefined) {
    complain('threshold', '`cost` needs a `threshold` in USD.');
    return undefined;
  }
  return ({ cost }: JudgedAnswer): Match => {
    if (cost === null) throw new AssertionCrash('cost: what the answer cost is not known');
    return { match: cost <= threshold, why: `it cost ${cost} USD, and the threshold is ${threshold} USD` };
  };
}

/** The provider's words, as promptfoo passes them on, for the same reasons. */
const otherReasons: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

function compileFinish({ value }: AssertionSpec, complain: Complain) {
  const wanted = typeof value === 'string' ? value.toLowerCase() : '';
  const reason = otherReasons[wanted] ?? wanted;
  if (!finishReasons.some((known) => known === reason)) {
    complain('value', `The value of \`finish-reason\` is one of ${finishReasons.join(', ')}.`);
    return undefined;
  }
  return ({ finishReason }: JudgedAnswer): Match => ({
    match: finishReason === reason,
    why: finishReason === null ? 'no reason was given' : `it ended with ${finishReason}`,
  });
}

/** An empty answer is a refusal too, one that scores nothing. */
function findRefusal({ output, finishReason, toolCalls }: JudgedAnswer): Match {
  if (finishReason === 'refusal') return { match: true, why: 'the provider says that the model refused' };
  if (output.trim() === '' && toolCalls.length === 0) {
    return { match: true, worth: 0, why: 'an empty answer counts as a refusal' };
  }
  const match = looksRefused(output);
  return { match, why: match ? 'the answer reads as a refusal' : 'the answer does not read as a refusal' };
}

function findInvalidCall({ toolCalls, tools }: JudgedAnswer): Match {
  if (toolCalls.length === 0) return { match: false, why: 'the answer calls no tool' };
  for (const call of toolCalls) {
    const tool = tools.find(({ name }) => name === call.name);
    if (!tool) return { match: false, why: `it calls ${call.name}, which the version does not declare` };
    const said = parseArguments(call.arguments);
    if (!said) return { match: false, why: `the arguments of ${call.name} are no JSON object` };
    const [issue] = compileSchema(tool.inputSchema).validate(said, 'arguments');
    if (issue) return { match: false, why: `${call.name}: ${issue.path} ${issue.message}` };
  }
  return { match: true, why: 'it calls tools as they are declared' };
}

interface WantedCall {
  readonly name: string;
  /** Arguments that the call has to have, among others. */
  readonly arguments: JsonObject;
}

function compileToolCalled({ value }: AssertionSpec, complain: Complain) {
  const wanted = (Array.isArray(value) ? value : [value]).map(readWanted);
  if (wanted.length === 0 || wanted.includes(undefined)) {
    complain(
      'value',
      'The value of `tool-called` is the name of a tool, `{name, arguments}`, or a list of them.',
    );
    return undefined;
  }
  return ({ toolCalls }: JudgedAnswer): Match => {
    const missing = (wanted as WantedCall[]).find((call) => !toolCalls.some((made) => isCall(made, call)));
    if (!missing) return { match: true, why: 'it makes the call' };
    const made = toolCalls.map(({ name }) => name).join(', ') || 'nothing';
    return { match: false, why: `it calls ${made}, not ${missing.name} with these arguments` };
  };
}

function readWanted(value: Json | undefined): WantedCall | undefined {
  if (typeof value === 'string' && value !== '') return { name: value, arguments: {} };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { name, arguments: said = {}, ...rest } = value;
  if (typeof name !== 'string' || typeof said !== 'object' || said === null || Array.isArray(said))
    return undefined;
  return Object.keys(rest).length === 0 ? { name, arguments: said } : undefined;
}

function isCall(made: ToolCall, wanted: WantedCall): boolean {
  if (made.name !== wanted.name) return false;
  const said = parseArguments(made.arguments);
  return (
    said !== undefined &&
    Object.entries(wanted.arguments).every(
      ([name, value]) => Object.hasOwn(said, name) && canonicalJson(said[name]) === canonicalJson(value),
    )
  );
}
