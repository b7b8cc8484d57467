/**
 * The process in which text of a suite runs. Node's permission model keeps it from files, network, processes and
 * workers; each script has a context of its own, without `process`, `require`, `fetch`, timers or ways to compile code.
 * Only text crosses: an object of this side would lead a script back to it.
 */
import { createContext, Script } from 'node:vm';

interface Job {
  readonly id: number;
  readonly kind: 'evaluate' | 'matches';
  readonly code: string;
  /** JSON. */
  readonly input: string;
  readonly timeoutMs: number;
}

/** Buffers lie outside the heap, whose bound would not see them; the console is this side's. */
const removed = [
  'console',
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Atomics',
  'WebAssembly',
  ...[
    'Int8',
    'Uint8',
    'Uint8Clamped',
    'Int16',
    'Uint16',
    'Int32',
    'Uint32',
    'BigInt64',
    'BigUint64',
    'Float16',
    'Float32',
    'Float64',
  ].map((kind) => `${kind}Array`),
];

function run({ kind, code, input, timeoutMs }: Job): string {
  const sandbox = Object.create(null) as Record<string, unknown>;
  const context = createContext(sandbox, {
    codeGeneration: { strings: false, wasm: false },
    // What a promise of the script does counts against its time.
    microtaskMode: 'afterEvaluate',
  });
  new Script(`for (const name of ${JSON.stringify(removed)}) delete globalThis[name];`).runInContext(context);
  const source = kind === 'matches' ? matching(input) : evaluating(code, input);
  new Script(source, { filename: 'assertion' }).runInContext(context, { timeout: timeoutMs });
  const { __answer: answer } = sandbox;
  if (typeof answer !== 'string') throw new Error('it never came to an answer');
  return answer;
}

function matching(input: string): string {
  return `{ const { pattern, text } = JSON.parse(${JSON.stringify(input)});
    globalThis.__answer = JSON.stringify({ value: new RegExp(pattern).test(text) }); }`;
}

function evaluating(code: string, input: string): string {
  return `{ const stringify = JSON.stringify;
    const answer = (said) => { globalThis.__answer = stringify(said); };
    const fail = (error) => answer({ fault: String(error?.message ?? error).slice(0, 500) });
    const { output, context } = JSON.parse(${JSON.stringify(input)});
    try {
      Promise.resolve((${toFunction(code)})(output, context))
        .then((value) => answer(value === undefined ? { fault: 'it returned nothing' } : { value }))
        .catch(fail);
    } catch (error) { fail(error); } }`;
}

/**
 * As promptfoo reads it: several lines are a function body; one line is an expression, before which declarations may
 * stand.
 */
function toFunction(code: string): string {
  const wrap = (body: string) => `(output, context) => { ${body}\n}`;
  if (code.includes('\n')) return wrap(code);
  const line = code.trim().replace(/;+\s*$/, '');
  if (!/^(?:const|let|var)\s/.test(line)) return wrap(`return ${line}`);
  for (let at = line.lastIndexOf(';'); at !== -1; at = line.lastIndexOf(';', at - 1)) {
    const [before, last] = [line.slice(0, at + 1), line.slice(at + 1).trim()];
    // Each by itself: a semicolon inside a text would cut it in two.
    if (last !== '' && compiles(wrap(before)) && compiles(wrap(`return (${last}\n)`))) {
      return wrap(`${before} return ${last}`);
    }
  }
  return wrap(line);
}

function compiles(source: string): boolean {
  try {
    new Script(`(${source})`);
    return true;
  } catch {
    return false;
  }
}

// A promise that a script left behind is nobody's: the next script must not end with it.
process.on('unhandledRejection', () => {});

process.on('message', (job: Job) => {
  let answer: string;
  try {
    answer = run(job);
  } catch (error) {
    // A value that the script threw may be anything at all.
    const message =
      error instanceof Error || (error as Error | null)?.message
        ? String((error as Error).message)
        : 'it threw';
    answer = JSON.stringify({ fault: message.slice(0, 500) });
  }
  process.send?.({ id: job.id, answer });
});
