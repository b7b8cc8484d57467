/**
 * Loaded before the product (`node --import`), it exchanges one module of it: where the audit trail is opened, commits are
 * made and not awaited. What the gateway then saves is the price of waiting. Only here: the product has no such switch.
 */
import { registerHooks } from 'node:module';

const stub = new URL('unawaited-trail.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const exchange = found.url.endsWith('/src/store/open-audit-trail.ts') && context.parentURL !== stub;
    return exchange ? { ...found, url: stub } : found;
  },
});
