import { expect, it } from 'vitest';
import { parseTraceparent } from '../../src/domain/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

it.each(
  [
    [`00-${traceId}-${spanId}-01`, { traceId, spanId, sampled: true }],
    [`00-${traceId}-${spanId}-00`, { traceId, spanId, sampled: false }],
    [
      'a later version with more fields',
      `cc-${traceId}-${spanId}-03-more`,
      { traceId, spanId, sampled: true },
    ],
  ].map((row) => row.slice(-2)),
)('reads the caller’s place in its trace from %s', (header, expected) => {
  expect(parseTraceparent(header as string)).toEqual(expected);
});

it.each([
  undefined,
  '',
  'nonsense',
  `ff-${traceId}-${spanId}-01`,
  `00-${'0'.repeat(32)}-${spanId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${traceId}-${spanId}-0`,
  `00-${traceId}-${spanId}-011`,
])('makes nothing of %s', (header) => {
  expect(parseTraceparent(header)).toBeNull();
});
