import type { WebhookStore } from '../application/webhook-post.ts';
import { bindGuard, type Pool } from './connection.ts';
import type { QueryCatalog } from './query-catalog.ts';

export function createWebhookStore(pool: Pool, queries: QueryCatalog): WebhookStore {
  const recordTaken = queries.bind('recordWebhookTaken');
  const guard = bindGuard(pool);
  return {
    async recordTaken(eventId) {
      await guard('auditing', () => recordTaken(pool.sql, eventId));
    },
  };
}
