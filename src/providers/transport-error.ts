/** A request that ended without a whole answer. */
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
