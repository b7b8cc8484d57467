/** Every environment variable that promptgate reads: what it may be, what it is when nobody says, and what it is about. */
import { z } from 'zod';
import { httpUrl, rawCallsSchema } from './config-file.ts';
import { findCronFault } from './domain/cron.ts';

export interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly fallback: T;
  readonly about: string;
  readonly secret?: boolean;
}

const milliseconds = z.coerce.number().int().min(1).max(600_000);
const byteCount = z.coerce.number().int().min(1_048_576).max(1_099_511_627_776);
const otlpProtocol = z.enum(['http/json', 'http/protobuf', 'grpc']);
const optionalText = z.string().min(1).optional();
/** Times that recur, or `off`. */
const schedule = z.string().superRefine((text, context) => {
  const fault = text === 'off' ? undefined : findCronFault(text);
  if (fault !== undefined) context.addIssue(fault);
});

function setting<T>(fallback: T, schema: z.ZodType<T>, about: string, secret = false): Setting<T> {
  return { fallback, schema, about, secret };
}

/** Every environment variable that promptgate reads, in the order `promptgate config` prints them. */
export const settings = {
  PORT: setting(8080, z.coerce.number().int().min(0).max(65_535), 'Port to listen on; 0 takes a free one.'),
  HOST: setting('127.0.0.1', z.string().min(1), 'Address to listen on; 0.0.0.0 for every interface.'),
  DATABASE_URL: setting(
    undefined,
    z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }).optional(),
    'PostgreSQL 14 or newer. `dev` uses an embedded database when it is absent.',
    true,
  ),
  PROMPTGATE_DATA_DIR: setting('.promptgate', z.string().min(1), 'Where the embedded database lives.'),
  PROMPTGATE_PROMPTS_DIR: setting('prompts', z.string().min(1), 'Directory of the definition files.'),
  PROMPTGATE_CONFIG: setting(
    'promptgate.yaml',
    z.string().min(1),
    'Configuration file for named providers, contract prices and `raw`; it may be absent.',
  ),
  OPENAI_API_KEY: setting(undefined, optionalText, 'Key for the provider `openai`.', true),
  OPENAI_BASE_URL: setting('https://api.openai.com/v1', httpUrl, 'Any server that speaks the OpenAI wire.'),
  OPENAI_WIRE: setting(
    'openai',
    z.enum(['openai', 'openai-responses']),
    'Wire of the provider `openai`: `openai` (Chat Completions) or `openai-responses`.',
  ),
  ANTHROPIC_API_KEY: setting(undefined, optionalText, 'Key for the provider `anthropic`.', true),
  ANTHROPIC_BASE_URL: setting(
    'https://api.anthropic.com',
    httpUrl,
    'Any server that speaks the Anthropic wire.',
  ),
  PROMPTGATE_EXECUTION_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    'Deadline of an execution, all attempts together, unless its definition states one.',
  ),
  PROMPTGATE_CONNECT_TIMEOUT_MS: setting(5_000, milliseconds, 'Bound on connecting to a provider.'),
  PROMPTGATE_FIRST_BYTE_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    "Bound on the wait for a provider's headers.",
  ),
  PROMPTGATE_FIRST_TOKEN_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    'Bound on the wait for the first content of a stream.',
  ),
  PROMPTGATE_IDLE_TIMEOUT_MS: setting(
    20_000,
    milliseconds,
    'Bound on the pause between two contents of a stream.',
  ),
  PROMPTGATE_RAW: setting(
    'refuse',
    rawCallsSchema,
    'Calls that bring a model and a prompt of their own: `refuse`, or `audit`: let through, with rows marked `raw`.',
  ),
  PROMPTGATE_MAX_BODY_BYTES: setting(
    1_048_576,
    z.coerce.number().int().min(1_024).max(67_108_864),
    'Largest request body that is read.',
  ),
  PROMPTGATE_AUDIT_MODE: setting(
    'strict',
    z.enum(['strict', 'spool']),
    'When the database is away: `strict` refuses calls (503), `spool` records them in a local journal.',
  ),
  PROMPTGATE_AUDIT_TIMEOUT_MS: setting(
    5_000,
    milliseconds,
    'How long a call may wait for its intent or its outcome to be durable; then 503.',
  ),
  PROMPTGATE_AUDIT_SETTLE_TIMEOUT_MS: setting(
    60_000,
    milliseconds,
    'How long an outcome is tried to be written before it is recorded as `unknown`.',
  ),
  PROMPTGATE_AUDIT_MAX_OPEN: setting(
    5_000,
    z.coerce.number().int().min(1).max(1_000_000),
    'Executions that may be admitted and not yet recorded at one time; more are refused (503).',
  ),
  PROMPTGATE_AUDIT_MAX_OPEN_BYTES: setting(
    268_435_456,
    byteCount,
    'Memory that their records may take; more are refused (503).',
  ),
  PROMPTGATE_SPOOL_MAX_BYTES: setting(
    268_435_456,
    byteCount,
    'Size of the journal of the mode `spool`, in PROMPTGATE_DATA_DIR/spool; when it is full, 503.',
  ),
  PROMPTGATE_SPOOL_MAX_AGE_MS: setting(
    3_600_000,
    z.coerce.number().int().min(1_000).max(604_800_000),
    'Age of its oldest record from which nothing more is admitted (503).',
  ),
  PROMPTGATE_RETENTION_MONTHS: setting(
    undefined,
    z.coerce.number().int().min(1).max(1_200).optional(),
    'Whole months of executions to keep before the current one; older ones are dropped daily. Default: all.',
  ),
  PROMPTGATE_DRAIN_TIMEOUT_MS: setting(
    30_000,
    milliseconds,
    'How long calls in flight may take to end after SIGTERM; then they are cancelled and recorded.',
  ),
  PROMPTGATE_EVAL_JAVASCRIPT: setting(
    'off',
    z.enum(['off', 'on']),
    'Whether `javascript` assertions of suites may run, in a process without files, network or processes.',
  ),
  PROMPTGATE_DRIFT_SCHEDULE: setting(
    '30 6 * * *',
    schedule,
    'When drift is looked for: five fields of cron, in UTC, or `off`.',
  ),
  PROMPTGATE_COSTS_SCHEDULE: setting(
    'off',
    schedule,
    "When yesterday's costs are posted to the webhook, once however often it comes: cron in UTC, or `off`.",
  ),
  PROMPTGATE_WEBHOOK_URL: setting(
    undefined,
    httpUrl.optional(),
    'Where findings of drift, failed probes and summaries of costs are posted, signed; wants PROMPTGATE_WEBHOOK_SECRET.',
  ),
  PROMPTGATE_WEBHOOK_SECRET: setting(
    undefined,
    z.string().min(24, 'must have at least 24 characters').optional(),
    'What they are signed with; `whsec_` and base64 is taken as Standard Webhooks have it.',
    true,
  ),
  PROMPTGATE_LOG_LEVEL: setting(
    'info',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    'Least severe line that is logged.',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(
    undefined,
    httpUrl.optional(),
    'OTLP/HTTP receiver of traces; without it none are made. The other standard variables of the exporter hold too.',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: setting(
    undefined,
    httpUrl.optional(),
    'Whole address for traces; instead of OTEL_EXPORTER_OTLP_ENDPOINT.',
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: setting(
    'http/json',
    otlpProtocol,
    'What the receiver is spoken to: HTTP. Traces go as JSON; `grpc` is refused.',
  ),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: setting(
    undefined,
    otlpProtocol.optional(),
    'The same for traces alone; instead of OTEL_EXPORTER_OTLP_PROTOCOL.',
  ),
  OTEL_SDK_DISABLED: setting(
    'false',
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(['true', 'false'])),
    '`true`: no traces, whatever else is set.',
  ),
  OTEL_TRACES_EXPORTER: setting('otlp', z.enum(['otlp', 'none']), '`none`: no traces, whatever else is set.'),
  OTEL_TRACES_SAMPLER: setting(
    'parentbased_traceidratio',
    z.enum([
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ]),
    "Which traces are exported; `parentbased_…`: a caller's own decision comes first.",
  ),
  OTEL_TRACES_SAMPLER_ARG: setting(
    1,
    z.coerce.number().min(0).max(1),
    'Share of the traces that a `…traceidratio` exports.',
  ),
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: setting(
    'false',
    z.enum(['true', 'false']),
    'Export variables, messages and outputs with the traces too.',
  ),
  PROMPTGATE_URL: setting(undefined, httpUrl.optional(), 'A running gateway for the CLI to talk to.'),
  PROMPTGATE_KEY: setting(undefined, optionalText, 'Key that the CLI sends to PROMPTGATE_URL.', true),
} satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof settings;
export type SettingValues = { readonly [K in SettingName]: z.infer<(typeof settings)[K]['schema']> };
