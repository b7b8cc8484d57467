// The dashboards, rules and provisioning fit each other and the metrics that there are. That their questions are answered
// is proven with a database and with Prometheus: test/integration/dashboards, test/e2e/prometheus.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { dashboards, grafanaDirectory, questionsOf, variablesOf } from '../support/dashboards.ts';

const read = (path: string) => readFileSync(join(grafanaDirectory, path), 'utf8');
const yaml = (path: string) => parseYaml(read(path));
const rules: { alert: string; expr: string }[] = yaml('prometheus/rules.yaml').groups.flatMap(
  ({ rules }: { rules: object[] }) => rules,
);

async function metricNames(): Promise<string[]> {
  const audit = { queued: 0, open: 0, dropped: 0, recovered: 0, spooling: false, spoolBytes: 0 };
  const rollups = { pending: 0, failures: 0 };
  const { body } = await createMetrics(() => ({ snapshotAgeMs: 0, audit, budgets: [], rollups })).render();
  return [...body.matchAll(/^# TYPE (\S+) (\S+)/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
  );
}

/** Names of time series in an expression: what is neither a word of PromQL, nor inside braces, quotes or brackets. */
function seriesIn(promql: string): string[] {
  const bare = promql
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, ' ')
    .replaceAll(/\b(?:by|without) \([^)]*\)/g, ' ');
  return [...bare.matchAll(/\b[a-z]\w*_\w+\b/g)]
    .map(([name]) => name)
    .filter((name) => name !== 'histogram_quantile');
}

describe('the dashboards', () => {
  it('are four, with ids and places of their own', () => {
    expect(dashboards.map(({ title }) => title.replace('promptgate / ', '')).sort()).toEqual([
      'Cost per version',
      'Drift and gates',
      'Overview',
      'Reliability',
    ]);
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
    for (const { panels } of dashboards) {
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
      );
      expect(new Set(cells).size).toBe(cells.length);
      for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
  });

  it('ask only the data sources that are provisioned, each in its language', () => {
    const sources = new Map(
      yaml('provisioning/datasources/promptgate.yaml').datasources.map(
        (source: { uid: string; type: string }) => [source.uid, source.type],
      ),
    );
    for (const { panels, templating, annotations } of dashboards) {
      for (const { datasource } of [...panels, ...templating.list, ...annotations.list]) {
        expect(sources.get(datasource.uid)).toBe(datasource.type);
      }
      for (const { datasource, rawSql, expr } of panels.flatMap(({ targets }) => targets)) {
        expect(datasource.type === 'prometheus' ? expr : rawSql).toMatch(/\S/);
      }
    }
  });

  it('use the variables that they have, and have none that they do not use', () => {
    for (const dashboard of dashboards) {
      const texts = [...questionsOf(dashboard, 'rawSql'), ...questionsOf(dashboard, 'expr')].map(
        ({ text }) => text,
      );
      const used = texts.flatMap((text) => [...text.matchAll(/\$\{?([a-z]\w*)/g)].map(([, name]) => name));
      const known = ['grafana-postgresql-datasource', 'prometheus'].flatMap((type) =>
        variablesOf(dashboard, type),
      );
      expect([...new Set(used)].sort()).toEqual(known.map(({ name }) => name).sort());
    }
  });

  it('and the alerts name no metric that a gateway does not have', async () => {
    const names = [...(await metricNames()), 'up'];
    const asked = [
      ...dashboards.flatMap((dashboard) => questionsOf(dashboard, 'expr').map(({ text }) => text)),
      ...rules.map(({ expr }) => expr),
    ];
    expect(asked.length).toBeGreaterThan(30);
    for (const promql of asked) {
      if (!promql.startsWith('up{')) expect(seriesIn(promql), promql).not.toEqual([]);
      expect(names).toEqual(expect.arrayContaining(seriesIn(promql)));
    }
  });

  it('are mounted where the provisioning looks, and every variable of the provisioning is set', () => {
    const { services } = parseYaml(readFileSync(resolve(grafanaDirectory, '../compose.yaml'), 'utf8'));
    const [{ options }] = yaml('provisioning/dashboards/promptgate.yaml').providers;
    expect(services.grafana.volumes).toContain(`./grafana/dashboards:${options.path}:ro`);
    const wanted = read('provisioning/datasources/promptgate.yaml').matchAll(/\$\{(\w+)\}/g);
    expect(Object.keys(services.grafana.environment)).toEqual(
      expect.arrayContaining([...wanted].map(([, name]) => name)),
    );
  });

  it('every alert is proven to fire', () => {
    const proven = read('prometheus/rules.test.yaml');
    for (const { alert } of rules) expect(proven).toContain(`alertname="${alert}"`);
  });
});
