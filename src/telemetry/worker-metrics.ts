/** The metrics of several workers as one. How those of a name are put together is said where it is made (`aggregator`). */
import {
  AggregatorRegistry,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import type { WorkerAnswer, WorkerAnswers } from '../application/fellow-workers.ts';

type Values = MetricObjectWithValues<MetricValue<string>>;

/** What was counted stays counted; what a gauge shows is over with its worker. */
const lastingTypes = ['counter', 'histogram'];

/** @param heirloom what the workers before this one in its place had counted */
export async function shareOf(registry: Registry, heirloom: unknown): Promise<WorkerAnswer> {
  const own = await registry.getMetricsAsJSON();
  const inherited = (heirloom ?? []) as Values[];
  const lasting = own.filter(({ type }) => lastingTypes.includes(String(type)));
  return {
    answer: [own, inherited],
    heirloom: await AggregatorRegistry.aggregate([inherited, lasting]).getMetricsAsJSON(),
  };
}

/** @param workers with answers as `shareOf` gave them */
export async function addUp(workers: WorkerAnswers): Promise<Registry> {
  const shares = workers.answers.flatMap((answer) => (answer ?? []) as Values[][]);
  const heirlooms = workers.heirlooms as Values[][];
  return AggregatorRegistry.aggregate([...shares, ...heirlooms, await describeWorkers(workers)]);
}

function describeWorkers({ answers, replaced }: WorkerAnswers): Promise<Values[]> {
  const registry = new Registry();
  const registers = [registry];
  const serving = new Gauge({ name: 'promptgate_workers', help: 'Workers that serve', registers });
  serving.set(answers.length);
  const name = 'promptgate_workers_replaced_total';
  new Counter({ name, help: 'Workers that ended unasked', registers }).inc(replaced);
  return registry.getMetricsAsJSON();
}
