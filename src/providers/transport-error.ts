/**
 * A request that ended without a whole answer. The SDKs wrap it, so its kind is found in the chain of causes. Neither
 * its message nor a `cause` of its own may say that something timed out: the SDKs search both for those words, and then
 * replace the error by one of theirs that has lost the kind.
 */
export class TransportError extends Error {
  readonly kind:
    | 'connection'
    | 'connect_timeout'
    | 'first_byte'
    | 'first_token'
    | 'stall'
    | 'redirect'
    | 'too_large';
  /** What was thrown, for the log. */
  readonly origin: unknown;

  constructor(kind: TransportError['kind'], origin?: unknown) {
    super('the transport failed');
    this.name = 'TransportError';
    this.kind = kind;
    this.origin = origin;
  }
}
