/** PgBouncer in transaction mode before a test database, where the machine has it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

export const hasPgbouncer =
  spawnSync('pgbouncer', ['--version'], { env: environment, stdio: 'ignore' }).status === 0;

/** @returns the URL that goes through it, as a person would write it */
export async function startPgbouncer(
  databaseUrl: string,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const url = new URL(databaseUrl);
  const directory = await mkdtemp(join(tmpdir(), 'promptgate-pgbouncer-'));
  const port = await freePort();
  const ini = join(directory, 'pgbouncer.ini');
  await writeFile(
    ini,
    `[databases]
* = host=${url.hostname} port=${url.port} user=${url.username} password=${url.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
`,
  );
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn('pgbouncer', [...user, ini], { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  await new Promise<void>((up, fail) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('process up')) up();
    });
    child.once('close', () => fail(new Error(`pgbouncer did not start:\n${log}`)));
  });
  url.port = String(port);
  url.searchParams.set('pgbouncer', 'true');
  return {
    url: url.href,
    async stop() {
      const closed = once(child, 'close');
      child.kill('SIGINT');
      await closed;
      await rm(directory, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
