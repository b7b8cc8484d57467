/** The way to the server as the client gets it: it ends once, and tells whether a session was lost by that. */
import { Socket } from 'node:net';

/** Where a client may connect, as postgres.js read it from the URL: several hosts are tried in turn. */
export interface Addresses {
  readonly host: readonly string[];
  readonly port: readonly number[];
  /** Of a Unix socket; null or false where there is none. */
  readonly path?: string | null | false;
}

/** The end of what a server says first: `ReadyForQuery`, outside of any transaction. */
const ready = Buffer.from('Z\0\0\0\x05I', 'latin1');

/**
 * postgres.js takes a connection out of use at its `close`. Node says `error` some milliseconds before, and what is sent in
 * between is answered by nobody, for ever. So both come together, and what was sent is told the error.
 *
 * Under TLS the client hears another socket, which Node makes over this one: there nothing of this holds.
 */
class DatabaseSocket extends Socket {
  readonly #onLost: () => void;
  #error: readonly unknown[] | undefined;
  #isSession = false;

  constructor(onLost: () => void) {
    super();
    this.#onLost = onLost;
  }

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (event === 'data' && !this.#isSession)
      this.#isSession = (values[0] as Buffer).subarray(-ready.length).equals(ready);
    if (event === 'error') {
      this.#error = values;
      return true;
    }
    if (event === 'close') {
      if (this.#isSession) this.#onLost();
      if (this.#error) super.emit('error', ...this.#error);
    }
    return super.emit(event, ...values);
  }
}

/**
 * A function that opens the next connection, for the option `socket` of postgres.js.
 * @param onLost hears of each end of a connection that had become a session, before the client does
 */
export function createDialer(onLost: () => void = () => {}): (addresses: Addresses) => Socket {
  let tries = 0;
  return ({ host, port, path }) => {
    const socket = new DatabaseSocket(onLost);
    if (path) return socket.connect(path);
    const index = tries++ % host.length;
    const address = { host: host[index]!, port: port[index]! };
    // The client takes the name for TLS from there.
    return Object.assign(socket.connect(address), address);
  };
}
