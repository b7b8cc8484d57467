/**
 * Owns the workers of `serve --workers`: starts them, replaces those that end unasked, passes their questions on, stops
 * them. It has no database and answers no request, so that there is nothing in it that could fail but the machine.
 *
 * It is not needed for the audit trail: each worker is a gateway of its own with a lease of its own, and any of them may
 * recover what another left. What it adds is that it knows of a death at once, and tells the successor whose intents
 * need not wait for the end of a lease.
 */
import type { WorkerAnswers, WorkerQuestion } from '../application/fellow-workers.ts';
import { errorTable, PromptgateError } from '../domain/errors.ts';
import type { FromWorker, StartFailure, ToWorker } from './message.ts';

export interface WorkerProcess {
  readonly pid: number;
  /** Never throws: a process that is gone hears nothing. */
  send(message: ToWorker): void;
  onMessage(listener: (message: FromWorker) => void): void;
  /** @param listener hears the exit code, or the signal that ended the process */
  onExit(listener: (code: number | null, signal: string | null) => void): void;
  /** SIGKILL. */
  kill(): void;
}

export interface SupervisorOptions {
  readonly workers: number;
  readonly spawn: () => WorkerProcess;
  /** Workers that have not ended this long after they were told to are killed. */
  readonly stopTimeoutMs: number;
  readonly log: {
    info(message: string, fields: Record<string, string | number | null>): void;
    warn(message: string, fields: Record<string, string | number | null>): void;
  };
}

export interface Supervisor {
  /** Resolves with the address when every worker serves. @throws PromptgateError — why the first that failed did; none is left */
  start(): Promise<string>;
  /** @returns the exit code: the worst of those of the workers */
  stop(): Promise<number>;
  /** Told to those that are stopping: calls in flight are cancelled. */
  hurry(): void;
}

interface Place {
  readonly worker: number;
  process?: WorkerProcess | undefined;
  serves: boolean;
  startedAt: number;
  /** Deaths in a row, each soon after the start. */
  deaths: number;
  gatewayId: string | null;
  readonly heirlooms: Partial<Record<WorkerQuestion, unknown>>;
  timer?: NodeJS.Timeout | undefined;
}

interface Gathering {
  readonly missing: Map<Place, number>;
  readonly answers: unknown[];
  readonly question: WorkerQuestion;
  done(): void;
}

/** Whoever lived this long did not die of its start. */
const soonMs = 10_000;
const firstWaitMs = 250;
const longestWaitMs = 15_000;
/** Longer than the question that a worker puts to the database to know how it is. */
const answerTimeoutMs = 3_000;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { log } = options;
  const places = Array.from(
    { length: options.workers },
    (_, index): Place => ({
      worker: index + 1,
      serves: false,
      startedAt: 0,
      deaths: 0,
      gatewayId: null,
      heirlooms: {},
    }),
  );
  const started = Promise.withResolvers<string>();
  const ended = Promise.withResolvers<void>();
  const gatherings = new Map<number, Gathering>();
  let phase: 'starting' | 'serving' | 'stopping' = 'starting';
  let replaced = 0;
  let lastId = 0;
  let exitCode = 0;

  function begin(place: Place): void {
    const child = options.spawn();
    place.process = child;
    place.startedAt = performance.now();
    child.onMessage((message) => hear(place, child, message));
    child.onExit((code, signal) => lose(place, child, code, signal));
    const { worker, gatewayId: predecessor } = place;
    child.send({
      type: 'begin',
      worker,
      wanted: places.length,
      predecessor,
      heirloom: place.heirlooms.metrics ?? null,
    });
  }

  function hear(place: Place, child: WorkerProcess, message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        place.serves = true;
        place.gatewayId = message.gatewayId;
        log.info('worker serves', { worker: place.worker, worker_pid: child.pid });
        if (phase === 'starting' && places.every(({ serves }) => serves)) {
          phase = 'serving';
          started.resolve(message.url);
        }
        return;
      case 'failed':
        if (phase === 'starting') giveUp(toError(message.failure));
        if (phase === 'serving')
          log.warn(`worker cannot start: ${message.failure.message}`, { worker: place.worker });
        child.kill();
        return;
      case 'ask':
        void gather(message.question).then((answers) =>
          child.send({ type: 'answers', id: message.id, ...answers }),
        );
        return;
      case 'answer': {
        const gathering = gatherings.get(message.id);
        if (gathering?.missing.get(place) !== child.pid) return;
        if (message.heirloom !== undefined) place.heirlooms[gathering.question] = message.heirloom;
        gathering.answers.push(message.answer);
        settle(gathering, place);
      }
    }
  }

  function lose(place: Place, child: WorkerProcess, code: number | null, signal: string | null): void {
    if (place.process !== child) return;
    place.process = undefined;
    const served = place.serves;
    place.serves = false;
    for (const gathering of gatherings.values()) settle(gathering, place);
    if (phase === 'stopping') noteEnd(code);
    else if (phase === 'serving') replace(place, child.pid, served, signal ?? String(code));
    else giveUp(new PromptgateError('internal', `A worker ended with ${signal ?? code} before it served.`));
  }

  function replace(place: Place, pid: number, served: boolean, end: string): void {
    const livedMs = performance.now() - place.startedAt;
    place.deaths = served && livedMs > soonMs ? 1 : place.deaths + 1;
    const waitMs = place.deaths === 1 ? 0 : Math.min(longestWaitMs, firstWaitMs * 2 ** (place.deaths - 2));
    const fields = { worker: place.worker, worker_pid: pid, end, again_in_ms: waitMs };
    log.warn('worker ended unasked; another takes its place', fields);
    replaced += 1;
    place.timer = setTimeout(() => begin(place), waitMs);
  }

  /** At the start one failure is the failure of all: a gateway that has half of its workers was not started. */
  function giveUp(error: PromptgateError): void {
    phase = 'stopping';
    for (const { process } of places) process?.kill();
    void allGone().then(() => started.reject(error));
  }

  function noteEnd(code: number | null): void {
    exitCode = Math.max(exitCode, code ?? errorTable.audit_unavailable.exitCode);
    if (places.every(({ process }) => process === undefined)) ended.resolve();
  }

  function allGone(): Promise<void> {
    if (places.every(({ process }) => process === undefined)) ended.resolve();
    return ended.promise;
  }

  function gather(question: WorkerQuestion): Promise<WorkerAnswers> {
    const id = ++lastId;
    const asked = places.filter(({ serves }) => serves);
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish(), answerTimeoutMs);
      const gathering: Gathering = {
        missing: new Map(asked.map((place) => [place, place.process?.pid ?? 0])),
        answers: [],
        question,
        done: () => finish(),
      };
      const finish = () => {
        clearTimeout(timer);
        gatherings.delete(id);
        const silent = [...gathering.missing.keys()].filter(({ serves }) => serves);
        const without = places.filter((place) => !place.serves || silent.includes(place));
        resolve({
          answers: [...gathering.answers, ...silent.map(() => undefined)],
          heirlooms: without.map(({ heirlooms }) => heirlooms[question]).filter((one) => one !== undefined),
          wanted: places.length,
          replaced,
        });
      };
      gatherings.set(id, gathering);
      for (const { process } of asked) process?.send({ type: 'question', id, question });
    });
  }

  function settle(gathering: Gathering, place: Place): void {
    gathering.missing.delete(place);
    if (gathering.missing.size === 0) gathering.done();
  }

  function tell(message: ToWorker): void {
    for (const { process } of places) process?.send(message);
  }

  return {
    start() {
      for (const place of places) begin(place);
      return started.promise;
    },
    async stop() {
      phase = 'stopping';
      for (const { timer } of places) clearTimeout(timer);
      const bound = setTimeout(() => {
        for (const { process } of places) process?.kill();
      }, options.stopTimeoutMs);
      tell({ type: 'stop' });
      await allGone();
      clearTimeout(bound);
      return exitCode;
    },
    hurry: () => tell({ type: 'hurry' }),
  };
}

function toError({ code, message, issues }: StartFailure): PromptgateError {
  return new PromptgateError(code, message, { issues: [...issues] });
}
