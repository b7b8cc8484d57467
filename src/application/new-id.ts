/** UUIDv7, as every record is named: it orders by its millisecond and names the month of its partition. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const idBytes = 16;
/** Asking the system for sixteen bytes at a time takes longer than all the rest of an id. */
const pool = new Uint8Array(256 * idBytes);
let next = pool.length;

export function newId(): string {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  const random = pool.subarray(next, next + idBytes);
  next += idBytes;
  return v7({ random });
}
