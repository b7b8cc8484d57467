/**
 * Loaded before the product (`node --import`), it exchanges one module of it, where the audit trail is opened: what the
 * gateway then saves is what its audit costs. Only here: the product has no such switch.
 */
import { registerHooks } from 'node:module';

const stub = new URL('exchanged-trail.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const exchange = found.url.endsWith('/src/store/open-audit-trail.ts') && context.parentURL !== stub;
    return exchange ? { ...found, url: stub } : found;
  },
});
