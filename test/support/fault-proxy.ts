/**
 * A TCP proxy that can do to a connection what networks do: delay, freeze, swallow, reset, cut. It stands between a
 * gateway and its database; what it cuts it cuts at a byte, or at a commit whose answer nobody shall hear.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { followPostgres } from './postgres-wire.ts';

export interface FaultProxy {
  readonly port: number;
  /** The same database, through the proxy. */
  through(databaseUrl: string): string;
  /** Delays every piece, either way. */
  setLatency(ms: number): void;
  /** Moves nothing, loses nothing, closes nothing: new connections are taken and get no answer. */
  freeze(): void;
  thaw(): void;
  /** Swallows everything. Connections that were open meanwhile stay silent for good: half-open, as after a lost route. */
  blackHole(): void;
  heal(): void;
  /** Resets every connection; new ones are served. */
  reset(): void;
  /** Resets a connection once it has carried this many bytes to the server. */
  cutAfter(bytes: number): void;
  /**
   * Cuts connections at writes: `sent` at once after the commit went out, `committed` when the server has answered it.
   * Strikes `times` times.
   */
  cutAtCommit(options: { when: () => 'sent' | 'committed' | 'spare'; times: number }): void;
  /** Connections cut so far. */
  readonly cuts: number;
  /** Freezes when the server has committed the next write, before its answer is heard. Resolves then. */
  freezeAtCommit(): Promise<void>;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  dead: boolean;
  bytes: number;
}

const auditWrites = /insert into ai_execution/i;

export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const links = new Set<Link>();
  let latencyMs = 0;
  let thawed: Promise<void> | undefined;
  let thaw = () => {};
  let swallowing = false;
  let cutAtByte = Number.POSITIVE_INFINITY;
  let commitCuts = { when: (): 'sent' | 'committed' | 'spare' => 'sent', times: 0 };
  let cuts = 0;
  let committed: (() => void) | undefined;

  function freeze(): void {
    if (thawed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    thawed = promise;
    thaw = resolve;
  }

  function cut({ client, server }: Link, options: { deliver: boolean }): void {
    client.resetAndDestroy();
    // What was sent still arrives, and then the end of the stream: the server finishes what it was told.
    if (options.deliver) server.end();
    else server.resetAndDestroy();
  }

  async function carry(link: Link, from: Socket, to: Socket, inspect: (chunk: Buffer) => boolean) {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (latencyMs > 0) await delay(latencyMs);
      if (thawed) await thawed;
      if (link.dead) continue;
      if (inspect(chunk)) return;
      if (thawed) await thawed;
      if (!to.write(chunk)) await once(to, 'drain');
    }
    if (!link.dead) to.end();
  }

  function serve(client: Socket): void {
    const server = connect(targetPort, '127.0.0.1');
    const link: Link = { client, server, dead: swallowing, bytes: 0 };
    links.add(link);
    const wire = followPostgres(auditWrites);
    /** Chosen when a write goes out, so that `committed` strikes the same one. */
    let striking: 'sent' | 'committed' | undefined;
    const toServer = (chunk: Buffer): boolean => {
      link.bytes += chunk.length;
      if (link.bytes > cutAtByte) {
        cutAtByte = Number.POSITIVE_INFINITY;
        cuts += 1;
        cut(link, { deliver: false });
        return true;
      }
      if (!wire.sent(chunk) || commitCuts.times <= 0 || striking) return false;
      const when = commitCuts.when();
      if (when === 'spare') return false;
      striking = when;
      commitCuts.times -= 1;
      if (striking === 'committed') return false;
      server.write(chunk);
      cuts += 1;
      cut(link, { deliver: true });
      return true;
    };
    const toClient = (chunk: Buffer): boolean => {
      if (!wire.answered(chunk)) return false;
      if (committed) {
        freeze();
        committed();
        committed = undefined;
      }
      if (striking !== 'committed') return false;
      cuts += 1;
      cut(link, { deliver: false });
      return true;
    };
    const end = () => {
      client.destroy();
      if (!server.writableEnded) server.destroy();
      links.delete(link);
    };
    client.setNoDelay(true).on('error', end).on('close', end);
    server.setNoDelay(true).on('error', end).on('close', end);
    carry(link, client, server, toServer).catch(end);
    carry(link, server, client, toClient).catch(end);
  }

  const listener = createServer(serve);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  return {
    port,
    through(databaseUrl) {
      const url = new URL(databaseUrl);
      url.hostname = '127.0.0.1';
      url.port = String(port);
      return url.href;
    },
    setLatency(ms) {
      latencyMs = ms;
    },
    freeze,
    thaw() {
      thawed = undefined;
      thaw();
    },
    blackHole() {
      swallowing = true;
      for (const link of links) link.dead = true;
    },
    heal() {
      swallowing = false;
    },
    reset() {
      for (const link of links) cut(link, { deliver: false });
    },
    cutAfter(bytes) {
      cutAtByte = bytes;
    },
    cutAtCommit(options) {
      commitCuts = { ...options };
    },
    get cuts() {
      return cuts;
    },
    freezeAtCommit: () =>
      new Promise((resolve) => {
        committed = resolve;
      }),
    async close() {
      thaw();
      for (const { client, server } of links) {
        client.destroy();
        server.destroy();
      }
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
