/** What the detectors see of an execution, and which executions may be compared with each other. */
import type { ErrorCode } from './errors.ts';
import type { ExecutionPurpose, ExecutionStatus, FinishReason } from './execution.ts';
import { shapeOfJson } from './json-shape.ts';
import { looksRefused } from './refusal-text.ts';

export interface DriftSample {
  readonly id: string;
  readonly promptName: string;
  readonly promptVersion: number;
  readonly purpose: Extract<ExecutionPurpose, 'call' | 'probe'>;
  readonly simulated: boolean;
  readonly provider: string;
  /** The model that was asked for. */
  readonly model: string;
  readonly startedAt: Date;
  readonly status: ExecutionStatus;
  readonly errorCode: ErrorCode | null;
  /** The same for calls that send the same: variables, messages, parameters. */
  readonly inputHash: string;
  /** Declared so: by the definition of its version, else by temperature 0. */
  readonly deterministic: boolean;
  readonly responseHash: string | null;
  readonly responseModel: string | null;
  readonly systemFingerprint: string | null;
  readonly finishReason: FinishReason | null;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly latencyMs: number;
  readonly cost: number | null;
  readonly currency: string;
  /** By kind, as the row keeps them; null where the cost is not known. */
  readonly unitPrices: Readonly<Record<string, string>> | null;
  /** In characters; null without an answer. */
  readonly outputLength: number | null;
  readonly refused: boolean;
  /** Null: no JSON, or too long to be looked at. */
  readonly jsonShape: string | null;
}

/** Samples of one thing that either drifts or not: the same version, asked of the same model for the same purpose. */
export interface DriftSubject {
  readonly promptName: string;
  readonly promptVersion: number;
  readonly purpose: DriftSample['purpose'];
  readonly simulated: boolean;
  readonly provider: string;
  readonly model: string;
}

export interface DriftWindows {
  readonly baseline: readonly DriftSample[];
  readonly now: readonly DriftSample[];
}

/** Whole and billed, be it as the definition promises or not. */
export function isAnswered({ status, errorCode }: Pick<DriftSample, 'status' | 'errorCode'>): boolean {
  return status === 'succeeded' || errorCode === 'invalid_output';
}

/** What an answer looks like. @param output whole, or null where only its `beginning` is at hand */
export function describeOutput(
  finishReason: FinishReason | null,
  output: string | null,
  beginning: string,
): Pick<DriftSample, 'refused' | 'jsonShape'> {
  const stopped = finishReason === 'refusal' || finishReason === 'content_filter';
  return {
    refused: stopped || looksRefused(beginning),
    jsonShape: (output !== null && shapeOfJson(output)) || null,
  };
}

/** Samples by subject. */
export function groupSamples({
  baseline,
  now,
}: DriftWindows): { subject: DriftSubject; windows: DriftWindows }[] {
  const before = Map.groupBy(baseline, subjectKey);
  return [...Map.groupBy(now, subjectKey)].map(([key, own]) => {
    const { promptName, promptVersion, purpose, simulated, provider, model } = own[0]!;
    return {
      subject: { promptName, promptVersion, purpose, simulated, provider, model },
      windows: { baseline: before.get(key) ?? [], now: own },
    };
  });
}

function subjectKey({ promptName, promptVersion, purpose, simulated, provider, model }: DriftSample): string {
  return JSON.stringify([promptName, promptVersion, purpose, simulated, provider, model]);
}
