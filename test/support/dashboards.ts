/** The dashboards as Grafana reads them: every query in them, and what Grafana makes of it before it is asked. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const grafanaDirectory = resolve(import.meta.dirname, '../../grafana');

interface DataSource {
  readonly type: string;
  readonly uid: string;
}

interface Target {
  readonly datasource: DataSource;
  readonly refId: string;
  readonly rawSql?: string;
  readonly format?: string;
  readonly expr?: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource: DataSource;
  readonly targets: readonly Target[];
}

interface Variable {
  readonly name: string;
  readonly datasource: DataSource;
  readonly multi: boolean;
  readonly query: string | { readonly query: string };
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: {
    readonly list: readonly { name: string; datasource: DataSource; target: Target }[];
  };
}

export const dashboards: readonly Dashboard[] = globSync('dashboards/*.json', { cwd: grafanaDirectory })
  .sort()
  .map((path) => JSON.parse(readFileSync(join(grafanaDirectory, path), 'utf8')));

export interface Question {
  /** `DASHBOARD/PANEL`, with the letter of the target where a panel has several. */
  readonly name: string;
  readonly dashboard: Dashboard;
  readonly text: string;
  readonly format: string;
}

function targetsOf(dashboard: Dashboard): { name: string; target: Target }[] {
  const panels = dashboard.panels.flatMap(({ title, targets }) =>
    targets.map((target, index) => ({ name: index === 0 ? title : `${title} ${target.refId}`, target })),
  );
  return [...panels, ...dashboard.annotations.list.map(({ name, target }) => ({ name: `@${name}`, target }))];
}

/** Every question in SQL, or in PromQL; those of variables apart. */
export function questionsOf(dashboard: Dashboard, kind: 'rawSql' | 'expr'): Question[] {
  return targetsOf(dashboard).flatMap(({ name, target }) => {
    const { format = '', [kind]: text } = target;
    return text === undefined ? [] : [{ name: `${dashboard.uid}/${name}`, dashboard, text, format }];
  });
}

/** What fills the variables, by name: SQL, or `label_values(metric, label)`. */
export function variablesOf(
  dashboard: Dashboard,
  type: string,
): { name: string; multi: boolean; text: string }[] {
  return dashboard.templating.list
    .filter(({ datasource }) => datasource.type === type)
    .map(({ name, multi, query }) => ({
      name,
      multi,
      text: typeof query === 'string' ? query : query.query,
    }));
}

export interface Picked {
  readonly from: Date;
  readonly to: Date;
  readonly intervalSeconds: number;
  readonly variables: Readonly<Record<string, readonly string[]>>;
}

/** As Grafana's PostgreSQL data source does it. @throws Error when something is left that PostgreSQL would not know */
export function expandSql(text: string, { from, to, intervalSeconds, variables }: Picked): string {
  const group = (column: string) =>
    `floor(extract(epoch from ${column})/${intervalSeconds})*${intervalSeconds}`;
  const sql = text
    .replaceAll(/\$\{(\w+):sqlstring\}/g, (_, name: string) =>
      (variables[name] ?? []).map((value) => `'${value.replaceAll("'", "''")}'`).join(','),
    )
    .replaceAll(/\$__timeGroupAlias\((\w+), ?\$__interval\)/g, (_, column) => `${group(column)} AS "time"`)
    .replaceAll(
      /\$__timeFilter\((\w+)\)/g,
      (_, column) => `${column} BETWEEN '${from.toISOString()}' AND '${to.toISOString()}'`,
    )
    .replaceAll('$__timeFrom()', `'${from.toISOString()}'`)
    .replaceAll('$__timeTo()', `'${to.toISOString()}'`);
  if (/\$(?:__|\{|[a-z])/.test(sql)) throw new Error(`Not expanded: ${sql}`);
  return sql;
}

/** As Grafana's Prometheus data source does it. @throws Error when something is left */
export function expandPromql(text: string, rate: string, range: string): string {
  const promql = text
    .replaceAll('$__rate_interval', rate)
    .replaceAll('$__range', range)
    .replaceAll('$instance', '.*');
  if (promql.includes('$')) throw new Error(`Not expanded: ${promql}`);
  return promql;
}
