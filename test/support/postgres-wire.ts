/**
 * Follows one connection of the PostgreSQL wire protocol closely enough to say when a write was sent and when the
 * server has committed it. Knows framing, statement names and the transaction status; nothing of values.
 */
interface WireFollower {
  /** @returns true when the chunk holds the end of a request that commits a write when the server obeys */
  sent(chunk: Buffer): boolean;
  /** @returns true when the chunk holds the server's word that a write is committed */
  answered(chunk: Buffer): boolean;
}

/** @param writes recognises the statements that matter */
export function followPostgres(writes: RegExp): WireFollower {
  const statements = new Map<string, string>();
  /** One entry per request that awaits its ReadyForQuery: whether it holds a write. */
  const requests: boolean[] = [];
  let writing = false;
  let inTransaction = false;
  let uncommitted = false;
  let sawSent = false;
  let sawCommitted = false;

  const client = readMessages(true, (type, body) => {
    if (type === 'P') statements.set(textAt(body, 0), textAt(body, textAt(body, 0).length + 1));
    if (type === 'B') {
      writing ||= writes.test(statements.get(textAt(body, textAt(body, 0).length + 1)) ?? '');
    }
    if (type === 'Q') writing ||= writes.test(textAt(body, 0));
    if (type !== 'Q' && type !== 'S') return;
    const commits = type === 'Q' && /^\s*commit/i.test(textAt(body, 0));
    if (commits ? uncommitted : writing && !inTransaction) sawSent = true;
    requests.push(writing);
    writing = false;
  });
  const server = readMessages(false, (type, body) => {
    if (type !== 'Z') return;
    uncommitted ||= requests.shift() ?? false;
    inTransaction = body.toString('latin1') !== 'I';
    if (inTransaction || !uncommitted) return;
    sawCommitted = true;
    uncommitted = false;
  });
  return {
    sent(chunk) {
      sawSent = false;
      client(chunk);
      return sawSent;
    },
    answered(chunk) {
      sawCommitted = false;
      server(chunk);
      return sawCommitted;
    },
  };
}

function textAt(body: Buffer, from: number): string {
  return body.toString('latin1', from, body.indexOf(0, from));
}

/** Messages have a type byte and a length; the first one of a client has no type. */
function readMessages(isClient: boolean, onMessage: (type: string, body: Buffer) => void) {
  let rest: Buffer = Buffer.alloc(0);
  let head = isClient ? 0 : 1;
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= head + 4) {
      const end = head + rest.readInt32BE(head);
      if (rest.length < end) return;
      onMessage(head === 0 ? '' : rest.toString('latin1', 0, 1), rest.subarray(head + 4, end));
      rest = rest.subarray(end);
      head = 1;
    }
  };
}
