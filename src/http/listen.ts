import { serve } from '@hono/node-server';
import type { HttpApp } from './server.ts';

export interface Listener {
  readonly url: string;
  /** Takes no new connections; resolves when the open requests have ended, or at the bound. */
  close(timeoutMs: number): Promise<void>;
}

/** @throws Error EADDRINUSE and the like, as Node gives it */
export function listen(app: HttpApp, address: { host: string; port: number }): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: address.host, port: address.port }, (info) => {
      const host = address.host.includes(':') ? `[${address.host}]` : address.host;
      resolve({ url: `http://${host}:${info.port}`, close: (timeoutMs) => close(timeoutMs) });
    });
    server.once('error', reject);
    function close(timeoutMs: number): Promise<void> {
      return new Promise((done) => {
        const bound = setTimeout(() => {
          if ('closeAllConnections' in server) server.closeAllConnections();
        }, timeoutMs);
        server.close(() => {
          clearTimeout(bound);
          done();
        });
        if ('closeIdleConnections' in server) server.closeIdleConnections();
      });
    }
  });
}
