/** What Node processes hold after a collection: they are started with its environment, and asked one at a time or together. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { HeldMemory } from './memory-probe.ts';
import type { Environment } from './processes.ts';

export class HeldMemoryReader {
  readonly #directory = mkdtempSync(join(tmpdir(), 'promptgate-bench-'));
  readonly environment: Environment = {
    NODE_OPTIONS: `--expose-gc --import ${join(import.meta.dirname, 'memory-probe.ts')}`,
    BENCH_MEMORY: this.#directory,
  };

  /** In bytes. */
  async read(pid: number): Promise<number> {
    const file = join(this.#directory, String(pid));
    process.kill(pid, 'SIGUSR2');
    for (const until = performance.now() + 60_000; performance.now() < until; await delay(20)) {
      try {
        const { heldBytes } = JSON.parse(readFileSync(file, 'utf8')) as HeldMemory;
        rmSync(file);
        return heldBytes;
      } catch {}
    }
    throw new Error(`process ${pid} did not say what it holds`);
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
