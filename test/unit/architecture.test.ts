import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const src = join(root, 'src');

/** Who may import whom. A room may always import itself, node: modules and what `packages` names. */
const rooms: Record<string, { rooms: string[]; packages: string[] }> = {
  domain: {
    rooms: [],
    packages: [
      'zod',
      'handlebars',
      'yaml',
      'ajv',
      '@pydantic/genai-prices',
      'diff',
      'csv-parse',
      'fastest-levenshtein',
      'jstat',
      'microdiff',
    ],
  },
  application: { rooms: ['domain'], packages: ['uuid'] },
  store: {
    rooms: ['domain', 'application'],
    packages: ['postgres', 'zod', '@electric-sql/pglite', 'pg-boss', 'cron-parser'],
  },
  providers: {
    rooms: ['domain', 'application'],
    packages: ['openai', '@anthropic-ai/sdk', 'undici', 'zod'],
  },
  telemetry: {
    rooms: ['domain', 'application'],
    packages: [
      'pino',
      'prom-client',
      '@opentelemetry/api',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
    ],
  },
  sandbox: { rooms: ['domain', 'application'], packages: [] },
  http: {
    rooms: ['domain', 'application'],
    packages: ['hono', '@hono/node-server', '@hono/zod-openapi', 'zod', 'uuid'],
  },
  workers: { rooms: ['domain', 'application'], packages: [] },
  cli: { rooms: ['domain', 'application', 'http', 'workers'], packages: ['commander', 'zod'] },
};

/** Packages that exactly one file, or one room, may know. */
const confined: Record<string, RegExp> = {
  postgres: /^store\//,
  'pg-boss': /^store\/job-queue\.ts$/,
  'cron-parser': /^store\/job-queue\.ts$/,
  hono: /^http\//,
  '@hono/node-server': /^http\/(listen|event-sink)\.ts$/,
  openai: /^providers\/openai-sdk\.ts$/,
  '@anthropic-ai/sdk': /^providers\/anthropic\.ts$/,
  diff: /^domain\/definition-diff\.ts$/,
  'csv-parse': /^domain\/case-files\.ts$/,
  'fastest-levenshtein': /^domain\/assertion-text\.ts$/,
  handlebars: /^domain\/template/,
  jstat: /^domain\/(pass-rate|cost-comparison|paired-test|drift-statistics)\.ts$/,
  microdiff: /^domain\/answer-comparison\.ts$/,
  '@pydantic/genai-prices': /^domain\/price-list\.ts$/,
};

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const files = globSync('**/*.ts', { cwd: src }).sort();
const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(join(src, file), 'utf8');
  const found = text.matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|import\('([^']+)'\)/gm);
  return [...found].map((match) => ({
    file,
    specifier: (match[2] ?? match[3]) as string,
    typeOnly: match[1] !== undefined,
  }));
});

function roomOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] as string) : '(root)';
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

describe('architecture', () => {
  it('finds the files and imports that it is meant to judge', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(imports.length).toBeGreaterThan(100);
  });

  it('lets each room import only the rooms below it', () => {
    const offences = imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map((entry) => ({
        ...entry,
        target: relative(src, resolve(src, dirname(entry.file), entry.specifier)),
      }))
      .filter(({ file, target, typeOnly }) => {
        const from = roomOf(file);
        const to = roomOf(target);
        if (from === '(root)' || from === to) return false;
        // The configuration and the shape of the composed app are what a command is given to work with.
        if (
          from === 'cli' &&
          (['config.ts', 'settings.ts'].includes(target) || (target === 'app.ts' && typeOnly))
        )
          return false;
        return !rooms[from]?.rooms.includes(to);
      });
    expect(offences).toEqual([]);
  });

  it('lets each room know only its packages', () => {
    const offences = imports.filter(({ file, specifier }) => {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) return false;
      const room = rooms[roomOf(file)];
      return room !== undefined && !room.packages.includes(packageOf(specifier));
    });
    expect(offences).toEqual([]);
  });

  it('keeps each driver, SDK and framework where it belongs', () => {
    const offences = imports.filter(({ file, specifier }) => {
      const home = confined[packageOf(specifier)];
      return home !== undefined && !home.test(file);
    });
    expect(offences).toEqual([]);
  });

  it('keeps the domain free of I/O and clocks', () => {
    const offences = files
      .filter((file) => file.startsWith('domain/'))
      .filter((file) =>
        /\b(Date\.now|new Date\(\)|performance\.now|process\.[a-z]|setTimeout|'node:(?!crypto))/.test(
          readFileSync(join(src, file), 'utf8'),
        ),
      );
    expect(offences).toEqual([]);
  });

  it('reads the environment in the configuration and the entry alone', () => {
    const offences = files.filter(
      (file) =>
        !['config.ts', 'main.ts'].includes(file) &&
        /process\.env\b/.test(readFileSync(join(src, file), 'utf8')),
    );
    expect(offences).toEqual([]);
  });

  it('imports every room in the composition root alone', () => {
    const reach = new Map<string, Set<string>>();
    for (const { file, specifier, typeOnly } of imports) {
      if (!specifier.startsWith('.') || typeOnly) continue;
      const rooms = reach.get(file) ?? new Set();
      rooms.add(roomOf(relative(src, resolve(src, dirname(file), specifier))));
      reach.set(file, rooms);
    }
    const adapters = ['store', 'providers', 'sandbox', 'telemetry'];
    const wirers = [...reach].filter(
      ([file, targets]) => adapters.filter((room) => targets.has(room) && roomOf(file) !== room).length > 0,
    );
    // The process that owns the workers has a log and no app.
    expect(wirers.map(([file]) => file)).toEqual(['app.ts', 'main.ts']);
  });

  it('has no drawer for odds and ends', () => {
    const drawers = files.filter((file) => /(^|\/)(utils?|helpers?|common|types|index)\.ts$/.test(file));
    expect(drawers).toEqual([]);
  });
});
