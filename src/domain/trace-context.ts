/** A place in a trace, as a W3C `traceparent` header says it. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The caller's span, 16 hexadecimal digits; null: the trace begins here. */
  readonly spanId: string | null;
  /** Whether the caller exports this trace. */
  readonly sampled: boolean;
}

/** @returns null for a header that is absent or malformed: a trace is never a reason to refuse a call */
export function parseTraceparent(header: string | undefined): TraceContext | null {
  const parts = header?.match(
    /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/,
  );
  if (!parts) return null;
  const [, traceId = '', spanId = '', flags = '00'] = parts;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
