import { expect, it } from 'vitest';
import type { AuditStore } from '../../src/application/audit-store.ts';
import { getExecution, listExecutions } from '../../src/application/read-executions.ts';
import type { StoredExecution } from '../../src/domain/execution.ts';
import { execution } from '../support/records.ts';

const admin = { name: 'system', keyId: null, scopes: ['admin'] } as const;

/** An audit of executions with outputs of so many characters, newest first. */
function auditOf(sizes: readonly number[]) {
  const rows = sizes.map((size, index) => ({
    id: String(sizes.length - index).padStart(4, '0'),
    inputPayload: { variables: {} },
    rawOutput: 'x'.repeat(size),
  }));
  let largestRead = 0;
  const listed: AuditStore['listExecutions'] = async (_filter, { limit, before }) => {
    const found = rows.filter(({ id }) => before === undefined || id < before).slice(0, limit);
    largestRead = Math.max(largestRead, found.length);
    return found as unknown as StoredExecution[];
  };
  return { audit: { listExecutions: listed } as AuditStore, largestRead: () => largestRead, rows };
}

async function pagesOf(audit: AuditStore, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let before: string | null = ''; before !== null; ) {
    const page = await listExecutions(audit, admin, {}, { limit, ...(before ? { before } : {}) });
    pages.push(page.executions.map(({ id }) => id));
    before = page.nextCursor;
  }
  return pages;
}

it.each([0, 1, 24, 25, 26, 50, 51, 199, 200, 201])(
  'lists %i executions whole, in pages of 50',
  async (count) => {
    const { audit, rows } = auditOf(Array(count).fill(10));
    const pages = await pagesOf(audit, 50);
    expect(pages.flat()).toEqual(rows.map(({ id }) => id));
    expect(pages.slice(0, -1).every((page) => page.length === 50)).toBe(true);
    expect(pages).toHaveLength(Math.max(1, Math.ceil(count / 50)));
  },
);

it('ends a page of large executions early, reads few at a time, and loses none', async () => {
  const { audit, rows, largestRead } = auditOf(Array(120).fill(1_000_000));
  const pages = await pagesOf(audit, 200);
  expect(pages.flat()).toEqual(rows.map(({ id }) => id));
  expect(Math.max(...pages.map((page) => page.length))).toBe(25);
  expect(largestRead()).toBeLessThanOrEqual(26);
});

it('a cost that was worked out is shown of an unknown call too, whose bill came late', async () => {
  const { price } = execution();
  const lost = {
    ...execution({ status: 'unknown', price: { ...price, cost: null } }),
    createdAt: new Date(),
  };
  const late = { ...lost, status: 'succeeded' as const, price: { ...lost.price, billed: [] } };
  const backfilled = { price, actor: 'ada', reason: 'because', createdAt: new Date() };
  const read = (lateOutcome: typeof late | undefined) =>
    getExecution(
      {
        audit: { findExecution: async () => lost, findLateOutcome: async () => lateOutcome } as never,
        costs: { findBackfilled: async () => backfilled },
      },
      admin,
      lost.id,
    );
  expect((await read(late)).backfilled).toBe(backfilled);
  // Nothing is known that could be worked out: nobody is asked.
  expect((await read(undefined)).backfilled).toBeUndefined();
});
