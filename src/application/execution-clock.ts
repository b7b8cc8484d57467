/** Divides the time of an execution into the provider's (attempts and the waits between them) and ours. It starts when it is made. */
export class ExecutionClock {
  readonly #startedAt = performance.now();
  #firstAttemptAt: number | undefined;
  #ownMs = 0;
  #providerMs = 0;

  /** Runs our own work while the provider's clock is on, and counts it as ours. */
  async own<T>(work: () => Promise<T>): Promise<T> {
    const from = performance.now();
    this.#firstAttemptAt ??= from;
    try {
      return await work();
    } finally {
      this.#ownMs += performance.now() - from;
    }
  }

  providerDone(): void {
    if (this.#firstAttemptAt === undefined) return;
    this.#providerMs = performance.now() - this.#firstAttemptAt - this.#ownMs;
  }

  /** In milliseconds, as all here. */
  elapsedMs(): number {
    return round(performance.now() - this.#startedAt);
  }

  read(): { latencyMs: number; overheadMs: number } {
    const latencyMs = performance.now() - this.#startedAt;
    return { latencyMs: round(latencyMs), overheadMs: round(latencyMs - this.#providerMs) };
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
