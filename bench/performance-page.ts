/** The measured part of docs/performance.md, out of the figures. What they mean is written around it by hand. */
import type { Latency, Saturation, SystemResult } from './calls.ts';
import type { StreamResult } from './many-streams.ts';
import { median } from './processes.ts';
import type { Size } from './run.ts';

export interface Results {
  readonly commit: string;
  readonly machine: string;
  readonly date: string;
  readonly size: Size;
  /** Versions by name. */
  readonly peers: Readonly<Record<string, string>>;
  readonly missing: Readonly<Record<string, string>>;
  readonly systems: readonly SystemResult[];
  readonly streams: readonly StreamResult[];
}

const begin = '<!-- measured: written by `npm run bench` -->';
const end = '<!-- end of what is measured -->';

/** @throws Error — the page lacks the place */
export function fillPage(page: string, results: Results): string {
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`the page lacks ${begin} … ${end}`);
  const { commit, machine, date, size, systems, streams } = results;
  const versions = Object.entries(results.peers).map(([name, version]) => `${name} ${version}`);
  const missing = Object.entries(results.missing).map(([name, why]) => `Not measured: ${name}: ${why}.`);
  const parts = [
    `${date}, commit ${commit}; ${machine}. ${[...versions, 'PostgreSQL with fsync on'].join(', ')}. ` +
      `Medians of ${size.rounds} rounds of ${size.saturationSeconds} s each; ratios are medians of the ratios within a round.`,
    callTable(systems),
    latencyTable(systems),
    '![Added latency by rate](performance/latency.svg)',
    'Raw figures of every round: [performance/results.json](performance/results.json).',
    streamTable(streams),
    ...missing,
  ];
  return `${before}${begin}\n\n${parts.join('\n\n')}\n\n${end}${after}`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line)].join(
    '\n',
  );
}

function callTable(systems: readonly SystemResult[]): string {
  const peer = systems.find(({ name }) => name === 'Portkey');
  const heads = [
    'at saturation',
    'CPU µs/request',
    '× Portkey',
    'requests per CPU second',
    'requests/s here',
    'database CPU µs/request',
    'RSS MiB',
    'ready ms',
    'rows lost',
  ];
  const rows = systems.map((system) => {
    const of = (name: keyof Saturation) => median(system.saturation.map((round) => round[name]));
    const lost = system.rows === null ? '–' : String(system.answered - system.rows);
    return [
      system.name,
      whole(of('cpuUs')),
      ratio(system, peer),
      whole(1_000_000 / of('cpuUs')),
      whole(of('perSecond')),
      system.rows === null ? '–' : whole(of('databaseCpuUs')),
      whole(system.rssBytes / 2 ** 20),
      system.readyMs === null ? '–' : whole(system.readyMs),
      lost,
    ];
  });
  return table(heads, rows);
}

function ratio(system: SystemResult, peer: SystemResult | undefined): string {
  const ratios = system.saturation.map(
    ({ cpuUs }, round) => cpuUs / (peer?.saturation[round]?.cpuUs ?? Number.NaN),
  );
  return figure(median(ratios), 2);
}

function latencyTable(systems: readonly SystemResult[]): string {
  const heads = [
    'added ms (p50 / p99 / p99.9)',
    ...latencyColumns.map(({ pauseMs, share }) => `${pauseMs} ms upstream, ${share * 100} %`),
  ];
  const rows = systems.map((system) => [
    system.name,
    ...latencyColumns.map((column) => {
      const { rate, ...added } = addedAt(system, column);
      return `${Object.values(added)
        .map((ms) => figure(ms, 1))
        .join(' / ')} (${whole(rate)}/s)`;
    }),
  ]);
  return table(heads, rows);
}

export const latencyColumns: readonly Pick<Latency, 'pauseMs' | 'share'>[] = [0, 20].flatMap((pauseMs) =>
  [0.1, 0.5, 0.8].map((share) => ({ pauseMs, share })),
);

/** Medians over the rounds. */
export function addedAt(system: SystemResult, { pauseMs, share }: Pick<Latency, 'pauseMs' | 'share'>) {
  const rounds = system.latency.filter((one) => one.pauseMs === pauseMs && one.share === share);
  const of = (name: keyof Latency) => median(rounds.map((round) => round[name]));
  return { p50Ms: of('addedP50Ms'), p99Ms: of('addedP99Ms'), p999Ms: of('addedP999Ms'), rate: of('rate') };
}

function streamTable(streams: readonly StreamResult[]): string {
  const heads = [
    'streams at once',
    'streams',
    'whole',
    'KiB/stream',
    'first token p50 ms',
    'beside it, direct',
    'first token p99 ms',
    'beside it, direct',
  ];
  const rows = streams.map((one) => [
    one.name,
    String(one.streams),
    String(one.whole),
    whole(one.bytesPerStream / 1024),
    figure(one.firstP50Ms, 1),
    figure(one.directFirstP50Ms, 1),
    figure(one.firstP99Ms, 1),
    figure(one.directFirstP99Ms, 1),
  ]);
  return table(heads, rows);
}

function figure(value: number, digits: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(digits);
}

function whole(value: number): string {
  return figure(value, 0);
}
