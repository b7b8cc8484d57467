/**
 * Other gateways, where they can be had: installed on demand into a directory that outlives the run (`--peers`), started
 * with their logging on. Whatever goes wrong with one is told and costs nothing but its row.
 */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Environment } from './processes.ts';
import { chatSystem, ended, type System } from './systems.ts';

const run = promisify(execFile);
const installMs = 600_000;
/** LiteLLM takes its time to load. */
const readyMs = 180_000;

export interface Peer {
  readonly name: string;
  readonly version: string;
  start(providerUrl: string, environment?: Environment): Promise<System>;
}

/** @returns those that are installed, and why the others are not */
export async function installPeers(
  directory: string,
): Promise<{ peers: Peer[]; missing: Record<string, string> }> {
  mkdirSync(directory, { recursive: true });
  const peers: Peer[] = [];
  const missing: Record<string, string> = {};
  for (const [name, install] of Object.entries({ Portkey: portkey, LiteLLM: litellm })) {
    try {
      peers.push(await install(join(directory, name.toLowerCase())));
    } catch (error) {
      missing[name] = firstLine(error);
    }
  }
  return { peers, missing };
}

async function versionOf(packageDirectory: string): Promise<string | undefined> {
  const manifest = join(packageDirectory, 'package.json');
  return existsSync(manifest) ? JSON.parse(await readFile(manifest, 'utf8')).version : undefined;
}

export function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr?.trim() || message).split('\n').at(-1)!.slice(0, 200);
}

const portkeyVersion = '1.15.2';
/**
 * What Portkey's own lock file has (Portkey-AI/gateway#1604); its package asks for ^1.3.3. With 1.14.2 and later it cannot
 * change the headers of the answer that it passes on, and every stream ends in 500, on Node 20, 22 and 26 (#1389).
 */
const portkeyServerVersion = '1.13.5';

async function portkey(directory: string): Promise<Peer> {
  const modules = join(directory, 'node_modules');
  const script = join(modules, '@portkey-ai/gateway/build/start-server.js');
  const installed = await versionOf(join(modules, '@hono/node-server'));
  if (!existsSync(script) || installed !== portkeyServerVersion) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const manifest = {
      private: true,
      dependencies: { '@portkey-ai/gateway': portkeyVersion },
      overrides: { '@hono/node-server': portkeyServerVersion },
    };
    writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
    const flags = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--prefix', directory];
    await run('npm', ['install', ...flags], { timeout: installMs });
  }
  return {
    name: 'Portkey',
    version: `${portkeyVersion} (@hono/node-server ${portkeyServerVersion}, Node ${process.versions.node})`,
    async start(providerUrl, environment = {}) {
      const port = await freePort();
      // It logs nothing and audits nothing: that is how it comes.
      const child = spawn(process.execPath, [script, '--headless', `--port=${port}`], {
        cwd: directory,
        env: { PATH: process.env.PATH, NODE_ENV: 'production', ...environment },
        stdio: 'ignore',
      });
      const headers = {
        authorization: 'Bearer sk-bench',
        'x-portkey-provider': 'openai',
        'x-portkey-custom-host': `${providerUrl}/v1`,
      };
      return ready(chatSystem('Portkey', `http://127.0.0.1:${port}`, headers, child, () => ended(child)));
    },
  };
}

async function litellm(directory: string): Promise<Peer> {
  const bin = join(directory, 'bin');
  if (!existsSync(join(bin, 'litellm'))) {
    await run('python3', ['-m', 'venv', directory], { timeout: installMs });
    await run(join(bin, 'pip'), ['install', '--quiet', 'litellm[proxy]'], { timeout: installMs });
  }
  const { stdout } = await run(join(bin, 'pip'), ['show', 'litellm']);
  const version = /^Version: (.*)$/m.exec(stdout)?.[1] ?? 'unknown';
  return {
    name: 'LiteLLM',
    version,
    async start(providerUrl) {
      const port = await freePort();
      // It takes no calls without keys, and neither does promptgate.
      const key = `sk-${randomUUID()}`;
      const config = join(directory, 'bench.yaml');
      const params = { model: 'openai/gpt-4o-mini', api_base: `${providerUrl}/v1`, api_key: 'sk-bench' };
      // JSON is YAML.
      const list = { model_list: [{ model_name: 'gpt-4o-mini', litellm_params: params }] };
      writeFileSync(config, JSON.stringify({ ...list, litellm_settings: { telemetry: false } }));
      const child = spawn(
        join(bin, 'litellm'),
        ['--config', config, '--host', '127.0.0.1', '--port', `${port}`],
        {
          cwd: directory,
          env: {
            PATH: `${bin}:${process.env.PATH}`,
            HOME: directory,
            LITELLM_MASTER_KEY: key,
            JSON_LOGS: 'true',
            LITELLM_LOCAL_MODEL_COST_MAP: 'True',
          },
          stdio: 'ignore',
        },
      );
      return ready(
        chatSystem('LiteLLM', `http://127.0.0.1:${port}`, { authorization: `Bearer ${key}` }, child, () =>
          ended(child),
        ),
      );
    },
  };
}

/** Once it answers a request as it should. */
async function ready(system: System): Promise<System> {
  let last = 'nothing';
  for (const until = performance.now() + readyMs; performance.now() < until; ) {
    try {
      const { url, headers, body } = system.whole;
      const response = await fetch(url, { method: 'POST', headers, body });
      last = `${response.status} ${(await response.text()).slice(0, 120)}`;
      if (response.ok) return system;
    } catch (error) {
      last = String(error);
    }
    if (!existsSync(`/proc/${system.pid}`)) break;
    await delay(500);
  }
  await system.stop();
  throw new Error(`${system.name} did not answer: ${last}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
