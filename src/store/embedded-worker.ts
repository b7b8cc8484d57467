/** The thread that owns PGlite: a slow query keeps this thread busy and not the gateway's event loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { serveDatabase } from './embedded-wire.ts';

const { directory, password }: { directory: string; password: string } = workerData;

const database = await PGlite.create({ dataDir: directory });
const server = await serveDatabase(database, password, (error) => {
  // Left uncaught on purpose: the thread ends, and the parent hears of it.
  setImmediate(() => {
    throw error;
  });
});

parentPort?.once('message', async () => {
  await server.stop();
  await database.close();
  parentPort?.close();
});
parentPort?.postMessage({ port: server.port });
