/**
 * Loaded before a gateway (`--expose-gc --import`): at SIGUSR2 a process collects its garbage and writes what is left
 * to the directory that BENCH_MEMORY names. What waits to be collected is no leak, and only the process itself can tell.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of one process after a collection, in bytes: the heap and what it holds outside of it. */
export interface HeldMemory {
  readonly heldBytes: number;
}

const directory = process.env.BENCH_MEMORY;

if (directory) {
  process.on('SIGUSR2', () => {
    // What a finalizer lets go of, the second one finds.
    globalThis.gc?.();
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    const held: HeldMemory = { heldBytes: heapUsed + external };
    const file = join(directory, String(process.pid));
    writeFileSync(`${file}.draft`, JSON.stringify(held));
    renameSync(`${file}.draft`, file);
  });
}
