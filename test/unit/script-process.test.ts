// Scripts of suites: what they can say, and what they cannot reach.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { createScriptProcess } from '../../src/sandbox/script-process.ts';

const scripts = createScriptProcess({ javascript: true });
afterAll(() => scripts.close());

const context = { vars: { name: 'Ada' }, config: { least: 2 }, test: { id: 'a', description: null } };
const run = (code: string, output = 'a fox') => scripts.evaluate(code, output, context);

describe('a script', () => {
  it.each<[string, unknown]>([
    ["output.includes('fox')", true],
    ['output.length / 10', 0.5],
    ["context.vars.name === 'Ada' && context.config.least > 1;", true],
    ["const words = output.split(' '); words.length === 2", true],
    [
      "const s = 'a;b'; let t = s; t === 'a;b' ? { pass: true, score: 1, reason: ';' } : false",
      { pass: true, score: 1, reason: ';' },
    ],
    [
      'const n = output.length;\nif (n > 3) return { pass: false, score: 0.25, reason: "long" };\nreturn true;',
      { pass: false, score: 0.25, reason: 'long' },
    ],
    ['Promise.resolve(1).then((n) => n + 1)', 2],
  ])('%s', async (code, value) => {
    expect(await run(code)).toEqual(value);
  });

  it.each([
    ['throws', 'nothing.at.all', /nothing is not defined/],
    ['is no code', 'const (', /Unexpected token/],
    ['returns nothing', 'undefined', /returned nothing/],
    ['returns a function', '() => true', /nothing that JSON can hold/],
    ['returns itself', 'const a = {};\na.a = a;\nreturn a;', /circular/i],
    ['never ends', 'while (true);\nreturn 1;', /timed out/],
    [
      'never ends in a promise',
      'const spin = () => Promise.resolve().then(spin);\nreturn spin();',
      /timed out|stopped|never/,
    ],
    ['leaves a promise behind that fails', 'Promise.reject(new Error(1)), undefined', /returned nothing/],
    ['waits for what never comes', 'new Promise(() => {})', /never came to an answer/],
    [
      'fills the memory',
      "const a = [];\nfor (;;) a.push('x'.repeat(1e5) + a.length);",
      /time or memory|timed out/,
    ],
  ])('that %s has no verdict, and the next one runs', async (_what, code, message) => {
    await expect(run(code)).rejects.toThrow(message);
    expect(await run('output')).toBe('a fox');
  });

  it.each([
    'process',
    'require',
    'fetch',
    'setTimeout',
    'Buffer',
    'ArrayBuffer',
    'Uint8Array',
    'SharedArrayBuffer',
    'WebAssembly',
    'console',
    'module',
  ])('cannot reach %s', async (name) => {
    expect(await run(`typeof ${name}`)).toBe('undefined');
  });

  it.each([
    ['compile code', "eval('1')"],
    ['compile a function', "Function('return process')()"],
    ['compile one by a constructor', "output.constructor.constructor('return process')()"],
    ['climb out by its globals', "globalThis.constructor.constructor('return process')()"],
    ['climb out by what it is given', "context.vars.constructor.constructor('return process')()"],
    ['import', "import('node:fs').then(() => 'reached')"],
  ])('cannot %s', async (_what, code) => {
    await expect(run(code)).rejects.toThrow();
  });

  it('is in a process that cannot read, call, spawn or connect, if it climbed out of its context all the same', async () => {
    // What the child would let an escaped script do: the same bounds, with the whole of Node to try.
    const server = createServer((_request, response) => response.end('reached'));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const { execFile } = await import('node:child_process');
    const { promisify } = await import('node:util');
    const tries = `
      const tried = {};
      const attempt = async (name, work) => { try { await work(); tried[name] = 'reached'; } catch (error) { tried[name] = error.code ?? error.cause?.code ?? error.message; } };
      await attempt('read', () => require('node:fs').readFileSync('/etc/hostname'));
      await attempt('write', () => require('node:fs').writeFileSync('escaped', 'x'));
      await attempt('spawn', () => require('node:child_process').execSync('true'));
      await attempt('worker', () => new (require('node:worker_threads').Worker)('1', { eval: true }));
      await attempt('network', () => new Promise((done, fail) => require('node:net').connect(${port}, '127.0.0.1').on('connect', done).on('error', fail)));
      console.log(JSON.stringify(tried));`;
    const source = `const { createRequire } = await import('node:module'); const require = createRequire('file:///x.js');${tries}`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--permission', '--no-warnings', '--input-type=module', '-e', source],
      { env: {} },
    );
    server.close();
    expect(JSON.parse(stdout)).toEqual(
      Object.fromEntries(
        ['read', 'write', 'spawn', 'worker', 'network'].map((name) => [name, 'ERR_ACCESS_DENIED']),
      ),
    );
  });
});

describe('a pattern', () => {
  it('is tried, and given up when it would take for ever', async () => {
    expect(await scripts.matches('^a \\w+$', 'a fox')).toBe(true);
    expect(await scripts.matches('^\\w+$', 'a fox')).toBe(false);
    await expect(scripts.matches('^(a+)+$', `${'a'.repeat(40)}!`)).rejects.toThrow(/timed out/);
    expect(await scripts.matches('x', 'x')).toBe(true);
  });
});

it('is off unless the gateway says otherwise', () => {
  expect(createScriptProcess({ javascript: false }).refusal).toContain('PROMPTGATE_EVAL_JAVASCRIPT');
  expect(scripts.refusal).toBeNull();
});
