/**
 * OpenTelemetry spans of executions, made once an execution is settled, out of what its row says: nothing is created,
 * propagated or timed while the call runs. Names follow the GenAI conventions; content is not exported unless the
 * standard variable for it asks.
 *
 * Loaded only where traces are exported: the SDK takes longer to load than the rest of the program.
 */
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Attempt, Execution } from '../domain/execution.ts';
import type { TraceContext } from '../domain/trace-context.ts';

export interface Traces {
  /** A place in a new trace, for a caller that has none. */
  begin(): TraceContext;
  record(execution: Execution, place: TraceContext | null): void;
  /** Resolves when what was recorded is exported, or the exporter gave up. */
  close(): Promise<void>;
}

export type TraceSampler = `${'' | 'parentbased_'}${'always_on' | 'always_off' | 'traceidratio'}`;

export interface TraceOptions {
  readonly url: string;
  readonly version: string;
  /** In OpenTelemetry's words. `parentbased_…`: a caller's own decision comes first. */
  readonly sampler: TraceSampler;
  /** Share of the traces that a `…traceidratio` exports, 0 to 1. */
  readonly ratio: number;
  /** Export variables and outputs too. */
  readonly content: boolean;
}

/** The exporter reads the other OTLP variables itself: headers, time-outs, compression. */
export function createTraces({ url, version, sampler, ratio, content }: TraceOptions): Traces {
  const ids = createIds();
  const { attributes } = resourceAttributesEnvDetector.detect();
  const provider = new TracerProvider({
    idGenerator: ids,
    sampler: samplerOf(sampler, ratio),
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'promptgate', 'service.version': version }))
      .merge(resourceFromAttributes(attributes ?? {})),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  const tracer = provider.getTracer('promptgate', version);
  return {
    begin: () => ({ traceId: ids.generateTraceId(), spanId: null, sampled: true }),
    record(execution, place) {
      ids.next = place?.spanId === null ? place.traceId : null;
      recordSpans(tracer, execution, contextOf(place), content);
    },
    close: () => provider.shutdown().catch(() => {}),
  };
}

function samplerOf(name: TraceSampler, ratio: number): Sampler {
  const root = name.endsWith('traceidratio')
    ? new TraceIdRatioBasedSampler(ratio)
    : name.endsWith('always_on')
      ? new AlwaysOnSampler()
      : new AlwaysOffSampler();
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

/** Random ids, except that the next trace takes the id that its execution's row has. */
function createIds(): IdGenerator & { next: string | null } {
  const random = new RandomIdGenerator();
  return {
    next: null,
    generateTraceId() {
      const id = this.next ?? random.generateTraceId();
      this.next = null;
      return id;
    },
    generateSpanId: () => random.generateSpanId(),
  };
}

function contextOf(place: TraceContext | null): Context {
  if (!place || place.spanId === null) return ROOT_CONTEXT;
  const { traceId, spanId, sampled } = place;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** The gateway's span, and below it admission, each attempt, and the settlement. */
function recordSpans(tracer: Tracer, execution: Execution, parent: Context, content: boolean): void {
  const start = execution.startedAt.getTime();
  const answered = start + execution.latencyMs;
  const now = Math.max(Date.now(), answered);
  const span = tracer.startSpan(
    `execute_prompt ${execution.promptName}`,
    { kind: SpanKind.SERVER, startTime: start, attributes: attributesOf(execution) },
    parent,
  );
  if (!span.isRecording()) return;
  if (content) span.setAttributes(inputOf(execution));
  const below = trace.setSpan(parent, span);
  const [first] = execution.attempts;
  tracer.startSpan('admit', { startTime: start }, below).end(first ? first.startedAt : answered);
  for (const attempt of execution.attempts) recordAttempt(tracer, execution, attempt, below, content);
  tracer.startSpan('settle', { startTime: answered }, below).end(now);
  if (execution.errorCode) span.setStatus({ code: SpanStatusCode.ERROR, message: execution.errorCode });
  span.end(now);
}

/** What the conventions call an inference: one request to a model. The last one has what came of them. */
function recordAttempt(
  tracer: Tracer,
  execution: Execution,
  attempt: Attempt,
  parent: Context,
  content: boolean,
): void {
  const isLast = attempt === execution.attempts.at(-1);
  const attributes = present({
    'gen_ai.operation.name': 'chat',
    ...modelAttributes(execution),
    'gen_ai.request.stream': execution.delivery ? true : null,
    'promptgate.attempt.number': attempt.number,
    'promptgate.provider.request_id': attempt.providerRequestId,
    'http.response.status_code': attempt.httpStatus,
    'error.type': attempt.errorCode,
  });
  const span = tracer.startSpan(
    `chat ${execution.model}`,
    { kind: SpanKind.CLIENT, startTime: attempt.startedAt, attributes },
    parent,
  );
  if (isLast) span.setAttributes(responseAttributes(execution, attempt));
  if (isLast && content) span.setAttributes(outputOf(execution));
  if (attempt.errorCode) span.setStatus({ code: SpanStatusCode.ERROR, message: attempt.errorCode });
  span.end(attempt.startedAt.getTime() + attempt.latencyMs);
}

function modelAttributes({ provider, model }: Execution) {
  return { 'gen_ai.provider.name': provider, 'gen_ai.request.model': model };
}

/** The usage is that of the execution: what failed attempts were billed is in it, and told nowhere else. */
function responseAttributes(execution: Execution, attempt: Attempt): Attributes {
  const { delivery, finishReason } = execution;
  const waitedMs = attempt.startedAt.getTime() - execution.startedAt.getTime();
  const firstMs = delivery?.timeToFirstTokenMs ?? null;
  return present({
    'gen_ai.response.id': execution.responseId ?? null,
    'gen_ai.response.model': execution.responseModel,
    'gen_ai.response.finish_reasons': finishReason ? [finishReason] : null,
    'gen_ai.response.time_to_first_chunk': firstMs === null ? null : Math.max(0, firstMs - waitedMs) / 1000,
    'gen_ai.usage.input_tokens': execution.promptTokens,
    'gen_ai.usage.output_tokens': execution.completionTokens,
    'gen_ai.usage.cache_read.input_tokens': execution.cachedTokens,
    'gen_ai.usage.cache_creation.input_tokens': execution.cacheWriteTokens,
    'gen_ai.usage.reasoning.output_tokens': execution.reasoningTokens,
  });
}

/** No inference of its own: usage here would be counted twice by whoever adds up a trace. */
function attributesOf(execution: Execution): Attributes {
  return present({
    ...modelAttributes(execution),
    'gen_ai.prompt.name': execution.promptName || null,
    'gen_ai.prompt.version': execution.promptVersion,
    'error.type': execution.errorCode,
    'promptgate.execution.id': execution.id,
    'promptgate.execution.status': execution.status,
    'promptgate.execution.purpose': execution.purpose,
    'promptgate.label': execution.label,
    'promptgate.request.id': execution.requestId,
    'promptgate.provider.request_id': execution.providerRequestId,
    'promptgate.attempts': execution.attempts.length,
    'promptgate.overhead_ms': execution.overheadMs,
    'promptgate.cost': execution.price.cost,
    'promptgate.cost.currency': execution.price.cost === null ? null : execution.price.currency,
  });
}

/** Only where it was asked for: what a caller sent … */
function inputOf({ inputPayload: { variables, messages = [] } }: Execution): Attributes {
  return present({
    'promptgate.variables': JSON.stringify(variables),
    'gen_ai.input.messages': messages.length === 0 ? null : JSON.stringify(messages),
  });
}

/** … and what a model answered. */
function outputOf({ rawOutput, finishReason }: Execution): Attributes {
  if (rawOutput === null) return {};
  const parts = [{ type: 'text', content: rawOutput }];
  const message = { role: 'assistant', parts, finish_reason: finishReason };
  return { 'gen_ai.output.messages': JSON.stringify([message]) };
}

function present(attributes: Record<string, string | number | boolean | string[] | null>): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Attributes;
}
