/** The measured part of docs/performance.md, out of the figures. What they mean is written around it by hand. */
import { judged, type Latency, peer, type Saturation, type SystemResult, saturationAt } from './calls.ts';
import type { DiskStalls } from './disk-stalls.ts';
import { beginPerSecond, type FirstTokenResult } from './first-tokens.ts';
import type { StreamResult } from './many-streams.ts';
import { median } from './processes.ts';
import type { Size } from './run.ts';
import { targetTable } from './targets.ts';

export interface Results {
  readonly commit: string;
  readonly machine: string;
  readonly date: string;
  readonly minutes: number;
  readonly size: Size;
  readonly disk: DiskStalls;
  /** Versions by name. */
  readonly peers: Readonly<Record<string, string>>;
  readonly missing: Readonly<Record<string, string>>;
  readonly systems: readonly SystemResult[];
  /** With PostgreSQL's files in memory. */
  readonly inMemory: readonly SystemResult[];
  readonly streams: readonly StreamResult[];
  readonly firstTokens: readonly FirstTokenResult[];
}

const begin = '<!-- measured: written by `npm run bench` -->';
const end = '<!-- end of what is measured -->';

/** @throws Error — the page lacks the place */
export function fillPage(page: string, results: Results): string {
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`the page lacks ${begin} … ${end}`);
  const { commit, machine, date, minutes, size, disk, systems, inMemory, streams, firstTokens } = results;
  const versions = Object.entries(results.peers).map(([name, version]) => `${name} ${version}`);
  const missing = Object.entries(results.missing).map(([name, why]) => `Not measured: ${name}: ${why}.`);
  const failed = [...systems, ...inMemory]
    .filter((one) => one.failed > 0)
    .map((one) => `${one.name} ${one.failed}`);
  const parts = [
    `${date}, commit ${commit}; ${machine}. ${[...versions, 'PostgreSQL with fsync on'].join(', ')}. ` +
      `Medians of rounds in turns (${size.rounds} at saturation of ${size.saturationSeconds} s each, ${size.latencyRounds} at each rate, ` +
      `${size.judgedRounds} at ${judged.share * 100} % and ${judged.pauseMs} ms, of ${size.latencySeconds} s, ${size.streamRounds} of streams, ${size.firstTokenRounds} of first tokens); in parentheses the least and the most. ` +
      `Ratios are medians of the ratios within a round. The run took ${whole(minutes)} minutes.`,
    `The disk, before anything ran: of ${disk.writes} writes of 8 KiB, each synced and 10 ms after the last, half took ${figure(disk.p50Ms, 1)} ms, ` +
      `one in a hundred more than ${figure(disk.p99Ms, 1)}, the slowest ${figure(disk.mostMs, 1)}.`,
    targetTable(results),
    '![CPU for each request, and added latency by rate](performance/figures.svg)',
    'Raw figures of every round: [performance/results.json](performance/results.json).',
    '### Calls',
    callTable(systems),
    latencyTable([...systems, ...inMemory]),
    '### Streams',
    streamTable(streams),
    firstTokenTable(firstTokens),
    ...(failed.length > 0 ? [`Requests that failed: ${failed.join(', ')}.`] : []),
    ...missing,
  ];
  return `${before}${begin}\n\n${parts.join('\n\n')}\n\n${end}${after}`;
}

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line)].join(
    '\n',
  );
}

function callTable(systems: readonly SystemResult[]): string {
  const peerCpu = cpuOf(systems.find(({ name }) => name === peer));
  const heads = [
    'at saturation',
    'CPU µs/request',
    '× Portkey',
    'requests per CPU second',
    'requests/s here',
    'database CPU µs/request',
    'RSS MiB',
    'rows lost',
  ];
  const rows = systems.map((system) => {
    const costs = saturationAt(system, 0);
    const of = (name: keyof Saturation) => costs.map((round) => round[name]);
    return [
      system.name,
      spread(of('cpuUs'), 0),
      spread(pairedRatios(cpuOf(system), peerCpu), 2),
      whole(1_000_000 / median(of('cpuUs'))),
      spread(of('perSecond'), 0),
      whole(median(of('databaseCpuUs'))),
      whole(system.rssBytes / 2 ** 20),
      system.rows === null ? '–' : String(system.answered - system.rows),
    ];
  });
  return table(heads, rows);
}

function latencyTable(systems: readonly SystemResult[]): string {
  const heads = [
    'added ms: p50 / p99 / p99.9',
    ...latencyColumns.map(({ pauseMs, share }) => `${pauseMs} ms upstream, ${share * 100} %`),
  ];
  const timed = systems.filter(({ latency }) => latency.length > 0);
  const rows = timed.map((system) => [
    system.name,
    ...latencyColumns.map((column) => {
      if (latencyAt(system, column).length === 0) return '';
      const { rate, ...added } = addedAt(system, column);
      const shown = Object.values(added).map((ms) => figure(ms, 1));
      return `${shown.join(' / ')} (${whole(rate)}/s)`;
    }),
  ]);
  return table(heads, rows);
}

/** CPU of a request in each round at saturation, with a provider that takes no time. */
export function cpuOf(system: SystemResult | undefined): number[] {
  return system ? saturationAt(system, 0).map(({ cpuUs }) => cpuUs) : [];
}

export const latencyColumns: readonly Pick<Latency, 'pauseMs' | 'share'>[] = [0, 20].flatMap((pauseMs) =>
  [0.1, 0.5, 0.8].map((share) => ({ pauseMs, share })),
);

export function latencyAt(
  { name, latency }: SystemResult,
  { pauseMs, share }: Pick<Latency, 'pauseMs' | 'share'>,
  rateOf = name,
): Latency[] {
  return latency.filter((one) => one.pauseMs === pauseMs && one.share === share && one.rateOf === rateOf);
}

/** Medians over the rounds. */
export function addedAt(system: SystemResult, column: Pick<Latency, 'pauseMs' | 'share'>) {
  const rounds = latencyAt(system, column);
  const of = (name: keyof Omit<Latency, 'rateOf'>) => median(rounds.map((round) => round[name]));
  return { p50Ms: of('addedP50Ms'), p99Ms: of('addedP99Ms'), p999Ms: of('addedP999Ms'), rate: of('rate') };
}

function streamTable(streams: readonly StreamResult[]): string {
  const bytesOf = (one: StreamResult | undefined) =>
    one?.rounds.map(({ bytesPerStream }) => bytesPerStream) ?? [];
  const heldOf = (one: StreamResult | undefined) =>
    one?.rounds.flatMap(({ heldBytesPerStream }) => heldBytesPerStream ?? []) ?? [];
  const peerOne = streams.find(({ name }) => name === peer);
  const heads = [
    'at once',
    'streams',
    'whole',
    'KiB/stream, resident',
    '× Portkey',
    'KiB/stream, held',
    '× Portkey',
    'CPU µs/token',
    'rows lost',
  ];
  const inKib = (all: readonly number[]) => all.map((bytes) => bytes / 1024);
  const rows = streams.map((one) => {
    const kept = one.rounds.map(({ lost }) => lost).filter((lost) => lost !== null);
    return [
      one.name,
      String(one.streams),
      whole(Math.min(...one.rounds.map((round) => round.whole))),
      spread(inKib(bytesOf(one)), 0),
      spread(pairedRatios(bytesOf(one), bytesOf(peerOne)), 2),
      spread(inKib(heldOf(one)), 1),
      spread(pairedRatios(heldOf(one), heldOf(peerOne)), 2),
      whole(median(one.rounds.map(({ cpuUsPerToken }) => cpuUsPerToken))),
      kept.length === 0 ? '–' : String(kept.reduce((total, lost) => total + lost, 0)),
    ];
  });
  return table(heads, rows);
}

function firstTokenTable(firstTokens: readonly FirstTokenResult[]): string {
  const heads = [
    `first token, ${beginPerSecond} streams a second`,
    'streams',
    'whole',
    'p50 ms',
    'added p50 ms',
    'p99 ms',
    'added p99 ms',
  ];
  const rows = firstTokens.map(({ name, streams, rounds }) => [
    name,
    String(streams),
    whole(Math.min(...rounds.map((round) => round.whole))),
    figure(median(rounds.map(({ p50Ms }) => p50Ms)), 1),
    spread(
      rounds.map(({ p50Ms, directP50Ms }) => p50Ms - directP50Ms),
      1,
    ),
    figure(median(rounds.map(({ p99Ms }) => p99Ms)), 1),
    spread(
      rounds.map(({ p99Ms, directP99Ms }) => p99Ms - directP99Ms),
      1,
    ),
  ]);
  return table(heads, rows);
}

/** Of the rounds that both have; machines drift, and a round is short. */
export function pairedRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.slice(0, theirs.length).map((one, round) => one / theirs[round]!);
}

/** The median, and the least and the most of several. */
export function spread(values: readonly number[], digits: number, unit = ''): string {
  const middle = figure(median(values), digits) + (values.length > 0 ? unit : '');
  if (values.length < 2) return middle;
  return `${middle} (${figure(Math.min(...values), digits)} to ${figure(Math.max(...values), digits)})`;
}

export function figure(value: number, digits: number): string {
  if (value === Number.POSITIVE_INFINITY) return '∞';
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

export function whole(value: number): string {
  return figure(value, 0);
}
