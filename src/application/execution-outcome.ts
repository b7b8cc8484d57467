/** The outcome of an execution as it is recorded: pure, from what was admitted and what came of it. */
import { hashJson, sha256 } from '../domain/canonical-json.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Admission, Attempt, Execution } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { type Bill, computePrice, noPrice } from '../domain/price.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { ToolCall } from '../domain/tool.ts';
import { noUsage, sumUsage } from '../domain/usage.ts';
import { toWritableJson, toWritableText } from '../domain/writable-text.ts';
import type { ExecutionClock } from './execution-clock.ts';
import { nothingYet, type PartialAnswer } from './partial-answer.ts';
import type { Prepared } from './prepare-execution.ts';
import type { ModelRoute, ProviderAnswer, ProviderResult } from './provider.ts';

/** A whole answer. @param refusal why it is not what the definition promises, though it was bought */
export function toAnswered(
  admission: Admission,
  route: ModelRoute,
  { answer, attempts, billed = [] }: ProviderResult & { ok: true },
  refusal: PromptgateError | undefined,
  clock: ExecutionClock,
): Execution {
  const output = toWritableText(answer.output);
  return {
    ...unsettled(admission, attempts, clock),
    ...(refusal ? toEnd(refusal) : { status: 'succeeded' }),
    rawOutput: output.text,
    outputNormalised: output.changed,
    ...toWritableParts(answer),
    responseHash: hashAnswer(answer),
    finishReason: answer.finishReason,
    responseModel: answer.responseModel,
    systemFingerprint: answer.systemFingerprint,
    serviceTier: answer.serviceTier,
    providerRequestId: answer.providerRequestId,
    responseId: answer.responseId,
    ...toSpent(admission, route, [...billed, answer]),
  };
}

/** Tokens and price of everything that was billed: those of an attempt that failed are spent like those of the answer. */
function toSpent(admission: Admission, route: ModelRoute, bills: readonly Bill[]) {
  return {
    ...sumUsage(bills.map(({ usage }) => usage)),
    usageSource: bills.some(({ rawUsage }) => rawUsage) ? 'provider' : 'none',
    price: computePrice({ ...route, bills, at: admission.startedAt }),
  } satisfies Partial<Execution>;
}

/** The ids of calls are the provider's and differ each time: what is said does not depend on them. */
function hashAnswer({ output, toolCalls }: ProviderAnswer): string {
  if (toolCalls.length === 0) return sha256(output);
  return hashJson({ output, toolCalls: toolCalls.map(({ name, arguments: said }) => ({ name, said })) });
}

/** What is wrong with a whole answer, by the schema of its definition. */
export function refuseOutput(
  { definition }: Pick<Prepared, 'definition'>,
  answer: ProviderAnswer,
): PromptgateError | undefined {
  const issues = definition.validateOutput(answer.output, answer.finishReason);
  const [first] = issues;
  if (!first) return undefined;
  const more = issues.length > 1 ? `, and ${issues.length - 1} more` : '';
  return new PromptgateError(
    'invalid_output',
    `The answer of the model is not what the definition promises: ${first.path} ${first.message}${more}.`,
    { issues },
  );
}

/** A request that was refused: no provider was called. */
export function toRefused(admission: Admission, error: PromptgateError, clock: ExecutionClock): Execution {
  return { ...unsettled(admission, [], clock), ...toEnd(error) };
}

/**
 * No answer, or a part of one. A hash is of a whole answer: what was cut off has none.
 * @param partial as far as it came
 */
export function toFailed(
  admission: Admission,
  route: ModelRoute,
  { error, attempts, billed = [] }: ProviderResult & { ok: false },
  clock: ExecutionClock,
  partial: PartialAnswer = nothingYet,
): Execution {
  const output = toWritableText(partial.output ?? '');
  return {
    ...unsettled(admission, attempts, clock),
    ...toEnd(error),
    rawOutput: output.text || null,
    ...toWritableParts(partial),
    outputNormalised: output.changed,
    providerRequestId: attempts.at(-1)?.providerRequestId ?? null,
    ...(billed.length > 0 ? toSpent(admission, route, billed) : {}),
    responseModel: billed.at(-1)?.responseModel ?? null,
    serviceTier: billed.at(-1)?.serviceTier ?? null,
  };
}

/** What an answer holds beside its output, as the database can hold it. */
function toWritableParts(answer: Pick<PartialAnswer, 'toolCalls' | 'reasoning'>) {
  return {
    toolCalls: toWritableJson(answer.toolCalls as unknown as Json) as unknown as ToolCall[],
    reasoning: toWritableJson(answer.reasoning as unknown as Json) as unknown as ReasoningBlock[],
  };
}

/** How an execution ended, by the error that its caller hears. */
export function toEnd(error: PromptgateError): Pick<Execution, 'status' | 'errorCode' | 'errorMessage'> {
  const errorMessage = toWritableText(error.message).text;
  return { status: error.auditStatus, errorCode: error.code, errorMessage };
}

/** What a row says where nothing is known but the admission. */
export const noOutcome = {
  ...noUsage,
  status: 'unknown',
  errorCode: null,
  errorMessage: null,
  rawOutput: null,
  toolCalls: [],
  reasoning: [],
  outputNormalised: false,
  finishReason: null,
  responseModel: null,
  systemFingerprint: null,
  serviceTier: null,
  providerRequestId: null,
  usageSource: 'none',
  responseHash: null,
  delivery: null,
} as const satisfies Partial<Execution>;

function unsettled(admission: Admission, attempts: readonly Attempt[], clock: ExecutionClock): Execution {
  return {
    ...admission,
    ...noOutcome,
    price: noPrice(attempts.length === 0 ? 'no provider was called' : 'the provider reported no usage'),
    attempts,
    ...clock.read(),
  };
}

/**
 * What a provider says about itself, as the database can hold it: headers and ids are as foreign as the output. An
 * outcome that cannot be written would be lost after the money is spent.
 */
export function toWritableOutcome(execution: Execution): Execution {
  const writable = (text: string | null) => text && toWritableText(text).text;
  return {
    ...execution,
    errorMessage: writable(execution.errorMessage),
    responseModel: writable(execution.responseModel),
    systemFingerprint: writable(execution.systemFingerprint),
    serviceTier: writable(execution.serviceTier),
    providerRequestId: writable(execution.providerRequestId),
    price: {
      ...execution.price,
      unknownReason: writable(execution.price.unknownReason),
      unitPrices: execution.price.unitPrices && (toWritableJson(execution.price.unitPrices) as JsonObject),
      billed: execution.price.billed && toWritableJson(execution.price.billed),
    },
    attempts: execution.attempts.map(toWritableAttempt),
  };
}

export function toWritableAttempt(attempt: Attempt): Attempt {
  const { errorMessage, providerRequestId } = attempt;
  return {
    ...attempt,
    errorMessage: errorMessage && toWritableText(errorMessage).text,
    providerRequestId: providerRequestId && toWritableText(providerRequestId).text,
  };
}
