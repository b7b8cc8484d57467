// There was no Docker where compose.yaml was written: what it names is at least there, and what it sets is at least read.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { settings } from '../../src/settings.ts';
import { connect } from '../../src/store/connection.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Service {
  readonly environment?: Record<string, string>;
  readonly volumes?: string[];
  readonly ports?: string[];
  readonly command?: string[];
  readonly depends_on?: Record<string, { condition: string }>;
  readonly healthcheck?: { test: string[] };
  readonly restart?: string;
}

const text = read('compose.yaml');
const { services, volumes }: { services: Record<string, Service>; volumes: object } = parseYaml(text);
const all = Object.entries(services);
const dockerfile = read('Dockerfile');

describe('compose.yaml', () => {
  it('mounts files that there are, and volumes that it declares', () => {
    for (const [, { volumes: mounts = [] }] of all) {
      for (const mount of mounts) {
        const [from = ''] = mount.split(':');
        if (from.startsWith('.')) expect(existsSync(join(root, from)), mount).toBe(true);
        else expect(Object.keys(volumes), mount).toContain(from);
      }
    }
  });

  it('names no file in a command that is not mounted at that place', () => {
    const mounted = (service: Service, path: string) =>
      (service.volumes ?? []).some((mount) => {
        const [from = '', to = ''] = mount.split(':');
        return path.startsWith(to) && existsSync(join(root, from, path.slice(to.length)));
      });
    const files = all.flatMap(([, service]) =>
      (service.command ?? []).flatMap((word) => {
        const [, path] = /^--(?:config\.)?file=(.*)$/.exec(word) ?? [];
        return path ? [[path, mounted(service, path)]] : [];
      }),
    );
    expect(files).toEqual([
      ['/reader.sql', true],
      ['/etc/prometheus/prometheus.yaml', true],
    ]);
  });

  it('sets what the gateway reads, and the image does too', () => {
    const inImage = [...dockerfile.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = '']) =>
      line.split(' ').map((pair) => pair.split('=')[0]),
    );
    const names = [...Object.keys(services.gateway?.environment ?? {}), ...inImage];
    expect(names).toContain('DATABASE_URL');
    // The last one is the database client's own.
    for (const name of names) expect([...Object.keys(settings), 'NODE_ENV', 'PGPASSWORD']).toContain(name);
  });

  it('gives the gateway a password that no character of it can break, as no URL holds it', () => {
    const { DATABASE_URL = '', ...environment } = services.gateway?.environment ?? {};
    expect(environment.PGPASSWORD).toMatch(/^\$\{POSTGRES_PASSWORD:\?\}$/);
    for (const [, { environment: set = {} }] of all) {
      for (const value of Object.values(set)) if (value.includes('://')) expect(value).not.toMatch(/\$\{/);
    }
    vi.stubEnv('PGPASSWORD', 'a/b@c#d?e:f%g');
    const { options } = connect(DATABASE_URL);
    vi.unstubAllEnvs();
    expect(options).toMatchObject({ user: 'promptgate', host: ['postgres'], pass: 'a/b@c#d?e:f%g' });
  });

  it('takes PostgreSQL for ready only over TCP, where it does not listen while it makes the database', () => {
    expect(services.postgres?.healthcheck?.test.join(' ')).toContain('pg_isready -h 127.0.0.1');
  });

  it('starts again what ended, but for what ends by itself', () => {
    for (const [name, { restart }] of all)
      expect(restart, name).toBe(name === 'reader' ? undefined : 'unless-stopped');
  });

  it('waits only for what says that it is ready, or that it has ended', () => {
    for (const [, { depends_on: awaited = {} }] of all) {
      for (const [name, { condition }] of Object.entries(awaited)) {
        expect(Object.keys(services)).toContain(name);
        if (condition !== 'service_healthy') continue;
        expect(
          services[name]?.healthcheck ?? (name === 'gateway' && /^HEALTHCHECK/m.exec(dockerfile)),
        ).toBeTruthy();
      }
    }
  });

  it('publishes on the loopback address alone, and takes each secret from outside', () => {
    for (const [, { ports = [], environment = {} }] of all) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
      for (const [name, value] of Object.entries(environment)) {
        if (/PASSWORD|KEY/.test(name)) expect(value).toMatch(/^\$\{\w+:[?-]\}$/);
      }
    }
  });

  it('wants no variable that docs/grafana.md does not name', () => {
    const [, wanted = ''] = /^export (.*)$/m.exec(read('docs/grafana.md')) ?? [];
    for (const [, name, mark] of text.matchAll(/\$\{(\w+):([?-])\}/g)) {
      if (mark === '?') expect(wanted).toContain(`${name}=`);
    }
  });

  it('has Prometheus scrape the gateway where it listens', () => {
    const { scrape_configs } = parseYaml(read('grafana/prometheus/prometheus.yaml'));
    const port = /PORT=(\d+)/.exec(dockerfile)?.[1];
    expect(JSON.stringify(scrape_configs)).toContain(`"gateway:${port}"`);
  });
});
