/**
 * Development mode: embedded database, definitions followed as they are edited, a key, and a simulated provider when
 * no real one is configured. Everything that `serve` asks a person to decide is decided here, and said.
 */
import { watch } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import type { App } from '../app.ts';
import type { SyncReport } from '../application/sync-prompts.ts';
import { type Config, loadConfig } from '../config.ts';
import { type Actor, hashSecret } from '../domain/api-key.ts';
import { toPromptgateError } from '../domain/errors.ts';
import { listen } from '../http/listen.ts';
import { toSyncReportView } from '../http/sync-routes.ts';
import type { CliContext } from './context.ts';
import { readDefinitionFiles } from './definition-files.ts';
import { type DevGateway, devGatewayPath } from './gateway-client.ts';
import { listenError } from './listen-error.ts';
import { paint, renderError } from './render.ts';
import { readSuiteFiles } from './suite-files.ts';
import { renderSync } from './sync-report.ts';
import { listenForStop, runUntilStopped } from './until-stopped.ts';

/** Editors write a file in several steps: wait until they are done. */
const settleMs = 80;
const drainTimeoutMs = 5_000;
const systemActor: Actor = { name: 'system', keyId: null, scopes: ['admin'] };

export function addDevCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('dev')
    .description(
      'Run the gateway for development: embedded database, prompts followed, nothing else to install',
    )
    .option('--json', 'print the ready line as JSON')
    .action(async (options: { json?: boolean }) => {
      const config = loadConfig(context.environment, context.directory);
      const app = await context.openApp({
        config,
        directory: context.directory,
        embedded: !config.values.DATABASE_URL,
        simulate: true,
        serving: true,
        logLevel: context.environment.PROMPTGATE_LOG_LEVEL || 'warn',
      });
      try {
        setExitCode(await runDev(context, config, app, options.json ?? false));
      } finally {
        await app.close();
      }
    });
}

async function runDev(context: CliContext, config: Config, app: App, json: boolean): Promise<number> {
  const promptsDir = resolve(context.directory, config.values.PROMPTGATE_PROMPTS_DIR);
  // Where it cannot be made, the sync says what is wrong.
  await mkdir(promptsDir, { recursive: true }).catch(() => {});
  const report = await syncDirectory(app, promptsDir);
  const key = await developmentKey(
    app,
    join(resolve(context.directory, config.values.PROMPTGATE_DATA_DIR), 'dev-key'),
  );
  const { HOST: host, PORT: port } = config.values;
  const listener = await listen(app.http, { host, port }).catch((error) => {
    throw listenError(error, host, port);
  });
  app.publishAddress(listener.url);
  const dev: DevGateway = { url: listener.url, key, pid: process.pid };
  const devPath = devGatewayPath(config, context.directory);
  await writePrivate(devPath, JSON.stringify(dev));
  const readyMs = Math.round(performance.now());
  if (json) context.out(JSON.stringify({ ...dev, simulated: app.simulatedUrl !== null, ready_ms: readyMs }));
  else context.out(closingScreen(context, config, app, report, dev, readyMs));
  const watcher = followFiles(promptsDir, async () => {
    try {
      const changed = await syncDirectory(app, promptsDir);
      const quiet =
        changed.files.every((file) => file.outcome === 'unchanged' && file.warnings.length === 0) &&
        changed.suites.every(({ outcome }) => outcome === 'unchanged') &&
        changed.retiredProbes.length === 0 &&
        changed.deployments.length === 0;
      if (!quiet) context.out(renderSync(toSyncReportView(changed)));
    } catch (error) {
      context.err(renderError(toPromptgateError(error)));
    }
  });
  const stop = listenForStop();
  void stop.requested.then(() => {
    watcher.close();
    return rm(devPath, { force: true });
  });
  return runUntilStopped(app, listener, drainTimeoutMs, stop);
}

async function syncDirectory(app: App, promptsDir: string): Promise<SyncReport> {
  return app.gateway.syncPrompts({
    files: await readDefinitionFiles(promptsDir),
    suites: await readSuiteFiles(promptsDir),
    actor: systemActor,
    follow: 'development',
    seed: 'production',
  });
}

/** The key of this directory, the same at every start; its secret is kept in a file that only this user reads. */
async function developmentKey(app: App, path: string): Promise<string> {
  const kept = await readFile(path, 'utf8').catch(() => undefined);
  if (kept && app.gateway.authenticate(kept.trim())) return kept.trim();
  const held = app.gateway.listKeys().find((key) => key.name === 'development' && !key.revokedAt);
  if (held && held.hash !== hashSecret(kept ?? '')) await app.gateway.revokeKey(held.id);
  const { secret } = await app.gateway.createKey({
    actor: systemActor,
    name: 'development',
    scopes: ['execute', 'admin'],
  });
  await writePrivate(path, secret);
  return secret;
}

async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, text, { mode: 0o600 });
}

/** Calls back once for each burst of changes, never twice at a time. */
function followFiles(directory: string, onChange: () => Promise<void>): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const watcher = watch(directory, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = running.then(onChange);
    }, settleMs);
  });
  return {
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

function closingScreen(
  context: CliContext,
  config: Config,
  app: App,
  report: SyncReport,
  dev: DevGateway,
  readyMs: number,
): string {
  const models = app.simulatedUrl
    ? `${paint('yellow', 'SIMULATED')}: no provider key is set, so no model is called and nothing is bought.\n           Set OPENAI_API_KEY or ANTHROPIC_API_KEY for real answers; make it misbehave at ${app.simulatedUrl}/simulate`
    : config.providers.map((provider) => provider.name).join(', ');
  const database =
    app.database === 'embedded' ? `embedded, in ${config.values.PROMPTGATE_DATA_DIR}` : 'DATABASE_URL';
  const lines = [
    renderSync(toSyncReportView(report)),
    '',
    `${paint('bold', 'promptgate')} is ready on ${paint('cyan', dev.url)} in ${(readyMs / 1000).toFixed(1)} s`,
    '',
    `  prompts  ${relative(context.directory, resolve(context.directory, config.values.PROMPTGATE_PROMPTS_DIR)) || '.'}/, followed: save a file and \`development\` has it`,
    `  database ${database}`,
    `  models   ${models}`,
    `  key      ${dev.key}`,
  ];
  const example = exampleCall(app, dev);
  if (example) lines.push('', 'Try it:', '', ...example);
  lines.push('', 'Then, in another terminal here: npx promptgate executions');
  return lines.join('\n');
}

/** A command to paste, made from a prompt that is really there, and the shape of what it answers. */
function exampleCall(app: App, dev: DevGateway): string[] | undefined {
  const prompts = app.gateway.listPrompts(systemActor).filter((prompt) => prompt.labels.has('production'));
  const prompt = prompts.find(({ name }) => name === 'summarize') ?? prompts[0];
  const version = prompt?.versions.get(prompt.labels.get('production')?.version ?? 0);
  if (!prompt || !version) return undefined;
  const variables = exampleVariables(version.inputSchema);
  return [
    `  curl ${dev.url}/v1/prompts/${prompt.name}/executions \\`,
    `    -H 'Authorization: Bearer ${dev.key}' \\`,
    `    -H 'Content-Type: application/json' \\`,
    `    -d '${JSON.stringify({ variables }).replaceAll("'", "'\\''")}'`,
    '',
    `  {"id":"…","prompt":"${prompt.name}","version":${version.version},"label":"production","status":"succeeded","output":"…",`,
    `   "model":"${version.model}","simulated":${app.simulatedUrl !== null},"usage":{"prompt_tokens":…},"cost":…,"latency_ms":…,"response_hash":"…"}`,
  ];
}

/** Something of the right type for each required variable. */
function exampleVariables(schema: { readonly [key: string]: unknown }): Record<string, unknown> {
  const properties = (schema.properties ?? {}) as Record<string, { type?: unknown; enum?: unknown[] }>;
  const required = (schema.required ?? []) as string[];
  const byType: Record<string, unknown> = {
    string: 'Prompts deserve version control.',
    number: 1,
    integer: 1,
    boolean: true,
    array: [],
    object: {},
  };
  return Object.fromEntries(
    required.map((name) => {
      const property = properties[name];
      const type = Array.isArray(property?.type) ? property.type[0] : property?.type;
      return [name, property?.enum?.[0] ?? byType[String(type)] ?? 'text'];
    }),
  );
}
