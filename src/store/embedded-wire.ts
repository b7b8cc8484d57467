/**
 * PGlite behind the PostgreSQL wire, for any number of connections. There is one session, so a connection owns it from
 * the first message of a request to its Sync, and through a whole transaction; the others wait in line. (The server of
 * @electric-sql/pglite-socket passes single messages of all connections in turn: under concurrent transactions a Bind
 * was executed for another connection's portal or lost.)
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { PGlite } from '@electric-sql/pglite';

const requestCode = { ssl: 80_877_103, gssenc: 80_877_104, cancel: 80_877_102 } as const;
const type = {
  password: 0x70,
  query: 0x51,
  sync: 0x53,
  flush: 0x48,
  terminate: 0x58,
  notification: 0x41,
} as const;

const cleartextPasswordRequest = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
const rollback = Buffer.from('Q\0\0\0\rROLLBACK\0', 'latin1');
const sync = Buffer.from([0x53, 0, 0, 0, 4]);

/** Passes the session from one owner to the next, first come, first served. */
function createTurn() {
  let last = Promise.resolve();
  return async function take(): Promise<() => void> {
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    await before;
    return resolve;
  };
}

/**
 * Listens on a free port of 127.0.0.1. Any user of the machine can reach the port, so the password is asked for.
 * @param onFatal called when the database can no longer be used
 */
export async function serveDatabase(
  database: PGlite,
  password: string,
  onFatal: (error: unknown) => void,
): Promise<{ port: number; stop(): Promise<void> }> {
  const take = createTurn();
  const connections = new Set<Socket>();
  const sockets = new Set<Socket>();
  const execute = async (message: Uint8Array): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    await database.execProtocolRawStream(message, {
      onRawData: (data) => void chunks.push(Buffer.from(data)),
    });
    return Buffer.concat(chunks);
  };
  const server = createServer((socket) => {
    connections.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    const session = { database, execute, take, password, sockets };
    serveConnection(socket, session)
      .catch(onFatal)
      .finally(() => {
        connections.delete(socket);
        sockets.delete(socket);
        socket.destroy();
      });
  });
  const port = await listen(server);
  return {
    port,
    async stop() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of connections) socket.destroy();
      await closed.promise;
      // The last owner has to let go before the database may be closed.
      await take();
    },
  };
}

async function listen(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    resolve(typeof address === 'object' && address ? address.port : 0);
  });
  return promise;
}

interface Session {
  readonly database: PGlite;
  readonly execute: (message: Uint8Array) => Promise<Buffer>;
  readonly take: () => Promise<() => void>;
  readonly password: string;
  /** Connections past authentication. */
  readonly sockets: Set<Socket>;
}

async function serveConnection(socket: Socket, session: Session): Promise<void> {
  const frames = readFrames(socket);
  const startup = await authenticate(socket, frames, session.password);
  if (!startup) return;
  let release: (() => void) | undefined = await session.take();
  try {
    answer(socket, await session.execute(startup), session.sockets);
    session.sockets.add(socket);
    release();
    release = undefined;
    for (let frame = await next(frames); frame && frame[0] !== type.terminate; frame = await next(frames)) {
      release ??= await session.take();
      answer(socket, await session.execute(frame), session.sockets);
      const ended = frame[0] === type.sync || frame[0] === type.query;
      if (ended && !session.database.isInTransaction()) {
        release();
        release = undefined;
      }
    }
  } finally {
    if (release) {
      // The client left in the middle: end its request, then its transaction.
      await session.execute(sync);
      if (session.database.isInTransaction()) await session.execute(rollback);
      release();
    }
  }
}

/** @returns the startup message to pass on, or undefined when the connection is over */
async function authenticate(
  socket: Socket,
  frames: AsyncGenerator<Buffer, void>,
  password: string,
): Promise<Buffer | undefined> {
  let startup = await next(frames);
  for (; startup; startup = await next(frames)) {
    const code = startup.readInt32BE(4);
    if (code === requestCode.cancel) return undefined;
    if (code !== requestCode.ssl && code !== requestCode.gssenc) break;
    socket.write('N');
  }
  if (!startup) return undefined;
  socket.write(cleartextPasswordRequest);
  const frame = await next(frames);
  if (frame?.[0] !== type.password) return undefined;
  const given = Buffer.from(frame.subarray(5, -1));
  const wanted = Buffer.from(password);
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return startup;
  socket.end(errorResponse('28P01', 'password authentication failed'));
  return undefined;
}

function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

async function next(frames: AsyncGenerator<Buffer, void>): Promise<Buffer | undefined> {
  const { value } = await frames.next();
  return value ?? undefined;
}

/** Whole messages of a socket. Those before the first typed one (startup, SSL request) have no type byte. */
async function* readFrames(socket: Socket): AsyncGenerator<Buffer, void> {
  let pending: Buffer = Buffer.alloc(0);
  let typed = false;
  try {
    for await (const chunk of socket) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      for (;;) {
        const lengthAt = typed ? 1 : 0;
        if (pending.length < lengthAt + 4) break;
        const size = lengthAt + pending.readInt32BE(lengthAt);
        if (size < lengthAt + 4) return;
        if (pending.length < size) break;
        const frame = pending.subarray(0, size);
        pending = pending.subarray(size);
        typed ||= !isRequest(frame);
        yield frame;
      }
    }
  } catch {
    // A connection that breaks off has ended like any other.
  }
}

function isRequest(frame: Buffer): boolean {
  const code = frame.length >= 8 ? frame.readInt32BE(4) : 0;
  return code === requestCode.ssl || code === requestCode.gssenc || code === requestCode.cancel;
}

/**
 * Sends what the database answered. The session listens for all connections alike, so a notification, which arrives
 * with the answer to whoever asked next, goes to everyone.
 */
function answer(socket: Socket, data: Buffer, everyone: ReadonlySet<Socket>): void {
  const own: Buffer[] = [];
  for (let start = 0; start < data.length; ) {
    const end = start + 1 + data.readInt32BE(start + 1);
    const frame = data.subarray(start, end);
    if (frame[0] !== type.notification) own.push(frame);
    else for (const each of everyone) each.write(frame);
    start = end;
  }
  if (own.length > 0 && socket.writable) socket.write(Buffer.concat(own));
}
