/** What the gateway promises of its cost, held against the figures of a run. */
import { judged, peer, type SystemResult } from './calls.ts';
import { providerFirstMs } from './first-tokens.ts';
import type { StreamRound } from './many-streams.ts';
import {
  cpuOf,
  figure,
  latencyAt,
  pairedRatios,
  type Results,
  spread,
  table,
  whole,
} from './performance-page.ts';
import { median, sum } from './processes.ts';
import { compatibleName, inMemoryName } from './systems.ts';

interface Target {
  readonly what: string;
  readonly limit: string;
  readonly measured: string;
  /** Null: it could not be measured. */
  readonly met: boolean | null;
}

const faces = ['promptgate', compatibleName('promptgate')];

export function targetTable(results: Results): string {
  const targets = [
    cpuTarget(results),
    ...latencyTargets(results),
    ...auditTargets(results),
    lossTarget(results),
    ...memoryTargets(results),
    ...firstTokenTargets(results),
    startTarget(results),
  ];
  const say = (met: boolean | null) => (met === null ? 'not measured' : met ? 'met' : '**not met**');
  return table(
    ['target', 'limit', 'this run', ''],
    targets.map(({ what, limit, measured, met }) => [what, limit, measured, say(met)]),
  );
}

/** Of both faces of the gateway, the worse one decides. */
function eachFace(
  limit: number,
  measure: (face: string) => readonly number[],
  format: (values: readonly number[]) => string,
): Pick<Target, 'measured' | 'met'> {
  const measured = faces.map((face) => ({ face, values: measure(face) }));
  const worst = Math.max(...measured.map(({ values }) => median(values)));
  return {
    measured: measured.map(({ face, values }) => `${format(values)} ${faceName(face)}`).join(', '),
    met: Number.isNaN(worst) || Number.isNaN(limit) ? null : worst <= limit,
  };
}

const faceName = (face: string) => (face === 'promptgate' ? 'native' : 'OpenAI API');
const times = (values: readonly number[]) => spread(values, 2);

function find<T extends { readonly name: string }>(all: readonly T[], name: string): T | undefined {
  return all.find((one) => one.name === name);
}

function cpuTarget({ systems }: Results): Target {
  return {
    what: 'CPU per governed execution with its durable audit, beside Portkey’s ungoverned pass-through',
    limit: '0.60 × (aim: 0.45 ×)',
    ...eachFace(0.6, (face) => cpuRatios(systems, face, peer), times),
  };
}

function cpuRatios(systems: readonly SystemResult[], name: string, beside: string): number[] {
  return pairedRatios(cpuOf(find(systems, name)), cpuOf(find(systems, beside)));
}

/** The disk is told apart from the gateway: what it has a write wait is in every p99 of whoever waits for it. */
function latencyTargets({ systems, inMemory }: Results): Target[] {
  const latenciesOf = (name: string, rateOf: string) => {
    const system = find([...systems, ...inMemory], name);
    return system ? latencyAt(system, judged, rateOf) : [];
  };
  const p99s = (name: string, rateOf = name) => latenciesOf(name, rateOf).map(({ addedP99Ms }) => addedP99Ms);
  const onDisk = (face: string) => face;
  const withMemory = (face: string) => face.replace('promptgate', inMemoryName);
  const target = (what: string, nameOf: (face: string) => string, rateOf?: string): Target => ({
    what,
    limit: `Portkey’s: ${spread(p99s(peer), 1)} ms`,
    ...eachFace(
      median(p99s(peer)),
      (face) => p99s(nameOf(face), rateOf),
      (values) => `${spread(values, 1)} ms`,
    ),
  });
  const rate = whole(latenciesOf(peer, peer)[0]?.rate ?? Number.NaN);
  const share = `${judged.share * 100} %`;
  return [
    target(`p99 added at ${share} of its own saturation, ${judged.pauseMs} ms upstream`, onDisk),
    target('the same, PostgreSQL’s files in memory', withMemory),
    target(`p99 added where Portkey has ${share} of its saturation, at its ${rate}/s`, onDisk, peer),
    target('the same, PostgreSQL’s files in memory', withMemory, peer),
  ];
}

/** Both are told: waiting for the disk is what durability costs, and the rows are what an audit costs. */
function auditTargets({ systems }: Results): Target[] {
  const price = (without: string) =>
    cpuRatios(systems, `promptgate, ${without}`, 'promptgate').map((ratio) => 1 - ratio);
  const target = (what: string, prices: readonly number[]): Target => ({
    what,
    limit: '20 % of CPU per request',
    measured: spread(
      prices.map((share) => 100 * share),
      0,
      ' %',
    ),
    met: prices.length === 0 ? null : median(prices) <= 0.2,
  });
  return [
    target('durability: commits awaited, or not', price('commits not awaited')),
    target('the whole audit: rows written and awaited, or none', price('no audit')),
  ];
}

function lossTarget({ systems, inMemory, streams }: Results): Target {
  const all = [...systems, ...inMemory];
  // Both faces of a gateway are counted together, at each of them.
  const second = new Set(all.map(({ name }) => compatibleName(name)));
  const audited = all.filter(({ name, rows }) => rows !== null && !second.has(name));
  const lost = [
    ...audited.map(({ answered, rows }) => answered - rows!),
    ...streams.flatMap(({ rounds }) => rounds.map((round) => round.lost ?? 0)),
  ].map((one) => Math.max(0, one));
  const asked = sum(audited.map(({ answered }) => answered));
  return {
    what: 'answered calls and streams without a row',
    limit: 'none',
    measured: `${sum(lost)} of ${asked} calls and of all streams`,
    met: sum(lost) === 0,
  };
}

function memoryTargets({ streams }: Results): Target[] {
  const target = (what: string, of: (round: StreamRound) => number | null): Target => {
    const bytesOf = (name: string) => find(streams, name)?.rounds.flatMap((round) => of(round) ?? []) ?? [];
    return {
      what: `memory of one of ${streams[0]?.streams} streams, ${what}`,
      limit: '0.50 × Portkey’s',
      ...eachFace(0.5, (face) => pairedRatios(bytesOf(face), bytesOf(peer)), times),
    };
  };
  return [
    target('resident', ({ bytesPerStream }) => bytesPerStream),
    target('held after a collection', ({ heldBytesPerStream }) => heldBytesPerStream),
  ];
}

function firstTokenTargets({ firstTokens }: Results): Target[] {
  const of = (name: string, what: (round: { p50Ms: number; directP50Ms: number }) => number) =>
    find(firstTokens, name)?.rounds.map(what) ?? [];
  const total = (name: string) => of(name, ({ p50Ms }) => p50Ms);
  const added = (name: string) => of(name, ({ p50Ms, directP50Ms }) => p50Ms - directP50Ms);
  return [
    {
      what: `time to the first token (p50; the provider takes ${providerFirstMs} ms), beside the floor’s`,
      limit: '1.10 ×',
      ...eachFace(1.1, (face) => pairedRatios(total(face), total('floor')), times),
    },
    {
      what: 'the same without the provider’s own time: what is added, beside what the floor adds',
      limit: '1.10 ×',
      ...eachFace(
        1.1 * median(added('floor')),
        added,
        (values) => `${spread(values, 1)} ms (floor: ${figure(median(added('floor')), 1)} ms)`,
      ),
    },
  ];
}

function startTarget({ systems, streams }: Results): Target {
  const ms = [
    ...systems.filter(({ name }) => name === 'promptgate').map(({ readyMs }) => readyMs),
    ...streams.flatMap(({ rounds }) => rounds.map(({ readyMs }) => readyMs)),
  ].filter((one) => one !== null);
  return {
    what: 'start to ready, with PostgreSQL',
    limit: '1500 ms',
    measured: `${spread(ms, 0)} ms in ${whole(ms.length)} starts`,
    met: ms.length === 0 ? null : median(ms) < 1_500,
  };
}
