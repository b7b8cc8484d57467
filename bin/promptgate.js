#!/usr/bin/env node
// Checks the engine before anything that an older one cannot parse is loaded.
import { existsSync } from 'node:fs';

if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(
    `promptgate needs Node 24 or newer; this is ${process.versions.node}. In a clone, "npm start" and "npm run promptgate --" bring their own.`,
  );
  process.exit(1);
}

const { enableCompileCache } = await import('node:module');
enableCompileCache();

// V8 marks a heap whole that grew by a fifth, on all cores at once while calls wait: under load every few seconds. With room for
// half as much again as is held that is seldom; with more, what waits to be collected shows in the memory of many streams.
const { setFlagsFromString } = await import('node:v8');
setFlagsFromString('--heap-growing-percent=50');
// What calls in flight hold survives a young collection, and V8 takes that for long life: in two processes of five it came to
// put 8 kB of every call where only a full collection finds it.
setFlagsFromString('--no-allocation-site-pretenuring');

// A checkout runs its source as it is; the package and the image run what was built from it.
const source = new URL('../src/main.ts', import.meta.url);
const { main } = await import(
  existsSync(source) ? source.href : new URL('../dist/main.js', import.meta.url).href
);
await main(process.argv);
