/** The way to the server as the client gets it: it ends once, and not first in an error and some time later. */
import { Socket } from 'node:net';

/** Where a client may connect, as postgres.js read it from the URL: several hosts are tried in turn. */
export interface Addresses {
  readonly host: readonly string[];
  readonly port: readonly number[];
  /** Of a Unix socket; null or false where there is none. */
  readonly path?: string | null | false;
}

/**
 * postgres.js takes a connection out of use at its `close`. Node says `error` some milliseconds before, and what is sent in
 * between is answered by nobody, for ever. So both come together, and what was sent is told the error.
 */
class DatabaseSocket extends Socket {
  #error: readonly unknown[] | undefined;

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (event === 'error') {
      this.#error = values;
      return true;
    }
    if (event === 'close' && this.#error) super.emit('error', ...this.#error);
    return super.emit(event, ...values);
  }
}

/** A function that opens the next connection, for the option `socket` of postgres.js. */
export function createDialer(): (addresses: Addresses) => Socket {
  let tries = 0;
  return ({ host, port, path }) => {
    const socket = new DatabaseSocket();
    if (path) return socket.connect(path);
    const index = tries++ % host.length;
    const address = { host: host[index]!, port: port[index]! };
    // The client takes the name for TLS from there.
    return Object.assign(socket.connect(address), address);
  };
}
