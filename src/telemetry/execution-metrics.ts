/** What executions are counted by. Those that asked no provider have no latency: a refusal is no fast answer. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Execution } from '../domain/execution.ts';
import { boundValues, valuesMax } from './bounded-values.ts';

/** As the conventions advise. */
const secondsBuckets = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const tokenBuckets = [
  1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
];
const overheadBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

/** @returns what every execution is told to */
export function addExecutionMetrics(registry: Registry): (execution: Execution) => void {
  const registers = [registry];
  const executions = new Counter({
    name: 'promptgate_executions_total',
    help: 'Executions by outcome; a prompt that the registry does not have is empty',
    labelNames: ['prompt', 'purpose', 'status', 'error_code', 'provider', 'model'],
    registers,
  });
  const cost = new Counter({
    name: 'promptgate_cost_total',
    help: 'Known costs, in the currency of the label',
    labelNames: ['prompt', 'currency'],
    registers,
  });
  const overhead = new Histogram({
    name: 'promptgate_overhead_seconds',
    help: "The gateway's share of the latency",
    buckets: overheadBuckets,
    registers,
  });
  const attempts = new Counter({
    name: 'promptgate_attempts_total',
    help: 'Requests to providers, retries included',
    labelNames: ['provider'],
    registers,
  });
  const retries = new Counter({
    name: 'promptgate_retries_total',
    help: 'Requests to providers that repeated a failed one, by what had failed',
    labelNames: ['provider', 'error_code'],
    registers,
  });
  const observeOperation = addOperationMetrics(registry);
  const boundPrompt = boundValues(valuesMax.prompt);
  const boundModel = boundValues(valuesMax.model);
  return (execution) => {
    const provider = execution.provider ?? '';
    const model = boundModel(execution.model ?? '');
    const prompt = boundPrompt(execution.promptVersionId === null ? '' : execution.promptName);
    const error_code = execution.errorCode ?? '';
    executions.inc({
      prompt,
      purpose: execution.purpose,
      status: execution.status,
      error_code,
      provider,
      model,
    });
    if (execution.attempts.length === 0) return;
    overhead.observe(execution.overheadMs / 1000);
    attempts.inc({ provider }, execution.attempts.length);
    for (const failed of execution.attempts.slice(0, -1)) {
      retries.inc({ provider, error_code: failed.errorCode ?? '' });
    }
    if (execution.price.cost !== null) {
      cost.inc({ prompt, currency: execution.price.currency }, Number(execution.price.cost));
    }
    observeOperation(execution, provider, model);
  };
}

/** The metrics that OpenTelemetry's GenAI conventions define. */
function addOperationMetrics(
  registry: Registry,
): (execution: Execution, provider: string, model: string) => void {
  const registers = [registry];
  const about = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'];
  const duration = new Histogram({
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'Latency of executions that reached a provider',
    labelNames: [...about, 'error_type'],
    buckets: secondsBuckets,
    registers,
  });
  const firstChunk = new Histogram({
    name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
    help: 'From the request to the first content of a stream',
    labelNames: about,
    buckets: secondsBuckets,
    registers,
  });
  const tokens = new Histogram({
    name: 'gen_ai_client_token_usage',
    help: 'Tokens of an execution as the provider reported them',
    labelNames: [...about, 'gen_ai_token_type'],
    buckets: tokenBuckets,
    registers,
  });
  return (execution, provider, model) => {
    const { promptTokens, completionTokens, delivery, errorCode } = execution;
    const operation = {
      gen_ai_operation_name: 'chat',
      gen_ai_provider_name: provider,
      gen_ai_request_model: model,
    };
    duration.observe({ ...operation, error_type: errorCode ?? '' }, execution.latencyMs / 1000);
    if (delivery?.timeToFirstTokenMs != null) {
      firstChunk.observe(operation, delivery.timeToFirstTokenMs / 1000);
    }
    if (promptTokens !== null) tokens.observe({ ...operation, gen_ai_token_type: 'input' }, promptTokens);
    if (completionTokens !== null) {
      tokens.observe({ ...operation, gen_ai_token_type: 'output' }, completionTokens);
    }
  };
}
