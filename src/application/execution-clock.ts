/** Divides the time of an execution into the provider's (attempts and the waits between them) and ours. */
export interface ExecutionClock {
  /** Runs our own work while the provider's clock is on, and counts it as ours. */
  own<T>(work: () => Promise<T>): Promise<T>;
  providerDone(): void;
  elapsedMs(): number;
  read(): { latencyMs: number; overheadMs: number };
}

export function startExecutionClock(): ExecutionClock {
  const startedAt = performance.now();
  let firstAttemptAt: number | undefined;
  let ownMs = 0;
  let providerMs = 0;
  return {
    async own(work) {
      const from = performance.now();
      firstAttemptAt ??= from;
      try {
        return await work();
      } finally {
        ownMs += performance.now() - from;
      }
    },
    providerDone() {
      if (firstAttemptAt !== undefined) providerMs = performance.now() - firstAttemptAt - ownMs;
    },
    elapsedMs: () => round(performance.now() - startedAt),
    read() {
      const latencyMs = performance.now() - startedAt;
      return { latencyMs: round(latencyMs), overheadMs: round(latencyMs - providerMs) };
    },
  };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
