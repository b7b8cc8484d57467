/** Suite files → suites and probes in force: what a gate asks of a version changes with the text beside it. */
import type { Actor } from '../domain/api-key.ts';
import { DefinitionError, type DefinitionIssue } from '../domain/definition-error.ts';
import { type ErrorCode, toPromptgateError } from '../domain/errors.ts';
import { type CompiledSuite, compileSuite } from '../domain/evaluation-suite.ts';
import { mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import { type Probe, probeNameOf } from '../domain/probe.ts';
import type { FileCommit } from './definition-set.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import type { ProbeStore } from './probe-store.ts';

export interface SuiteFile {
  /** Below the prompts directory, with forward slashes. */
  readonly path: string;
  readonly source: string;
  /** Text of what it takes in, by path as seen from it. */
  readonly files: Readonly<Record<string, string>>;
  /** The commit that the suite is from as it is; absent where there is none. */
  readonly git?: FileCommit;
}

/** States are those of definition files; a suite has no number, so other content is simply `new`. */
export interface PlannedSuite {
  readonly file: SuiteFile;
  /** Null when it cannot be used. */
  readonly suite: CompiledSuite | null;
  readonly state: 'new' | 'unchanged' | 'invalid' | 'duplicate' | 'forbidden';
  readonly message: string | null;
  readonly issues: readonly DefinitionIssue[];
}

export interface SyncedSuite extends Omit<PlannedSuite, 'state'> {
  readonly outcome: 'synced' | 'unchanged' | 'failed';
  readonly errorCode: ErrorCode | null;
}

export interface SuiteDependencies {
  readonly evaluations: Pick<EvaluationStore, 'listSuites' | 'registerSuite'>;
  readonly probes: Pick<ProbeStore, 'list' | 'register'>;
}

/** Against what is in force. */
export async function planSuites(
  { evaluations, probes }: SuiteDependencies,
  actor: Actor,
  files: readonly SuiteFile[],
): Promise<PlannedSuite[]> {
  if (files.length === 0) return [];
  const registered = await evaluations.listSuites();
  const inForce = new Map(
    registered.map((suite) => [subjectOf(suite.promptName, suite.suite), suite.checksum]),
  );
  const probing = new Map(
    (await probes.list()).map((probe) => [subjectOf(probe.promptName, probe.suite), probe]),
  );
  return readSuites(files).map((planned) => {
    const { suite, state } = planned;
    if (suite === null) return planned;
    if (!mayUsePrompt(actor, suite.promptName)) {
      return { ...planned, state: 'forbidden', message: 'the key may not use that prompt' };
    }
    const subject = subjectOf(suite.promptName, suite.name);
    const held = probing.get(subject) ?? null;
    const fault =
      (held && findLabelFault(actor, held)) ?? (suite.probe && findProbeFault(actor, suite.probe));
    if (fault) return { ...planned, state: 'forbidden', message: fault };
    const same =
      inForce.get(subject) === suite.checksum && describeProbe(held) === describeProbe(suite.probe);
    return state === 'new' && same ? { ...planned, state: 'unchanged' } : planned;
  });
}

/** What a probe does by the clock, the key that registers it may do: ask what the label holds, and move it. */
function findProbeFault(actor: Actor, probe: Probe): string | null {
  const fault = findLabelFault(actor, probe);
  if (fault) return fault;
  const { onFailure } = probe;
  const mayDeploy = actor.scopes.includes('deploy') || actor.scopes.includes('admin');
  return onFailure === 'rollback' && !mayDeploy
    ? 'its probe may roll the label back, which wants the scope `deploy`'
    : null;
}

/** Also of a probe in force: whoever may not use its label may neither end it nor turn it to another. */
function findLabelFault(actor: Actor, { label }: Probe): string | null {
  return mayUseLabel(actor, label) ? null : `the key may not use the label "${label}" of its probe`;
}

/** Equal for equal probes; undefined where there is none. */
function describeProbe(probe: Probe | null): string | undefined {
  if (probe === null) return undefined;
  const { label, schedule, budget, dailyBudget, onFailure } = probe;
  return JSON.stringify([label, schedule, budget, dailyBudget, onFailure]);
}

/** By themselves. Of two with one name nobody knows which is meant, so neither is used. */
export function readSuites(files: readonly SuiteFile[]): PlannedSuite[] {
  const read = files.map(readSuite);
  const owners = Map.groupBy(read, ({ suite, file }) =>
    suite ? subjectOf(suite.promptName, suite.name) : `file ${file.path}`,
  );
  return read.map((planned) => {
    const { suite } = planned;
    const same = suite ? (owners.get(subjectOf(suite.promptName, suite.name)) ?? []) : [];
    if (suite === null || same.length < 2) return planned;
    const others = same.filter((other) => other !== planned).map(({ file }) => file.path);
    const message = `suite "${suite.name}" of "${suite.promptName}" is in ${others.join(' and ')} too. Name one of them otherwise: \`suite: NAME\``;
    return { ...planned, state: 'duplicate', message };
  });
}

function readSuite(file: SuiteFile): PlannedSuite {
  const planned = { file, message: null, issues: [] };
  try {
    return { ...planned, suite: compileSuite(file.source, file.path, file.files), state: 'new' };
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    const count = error.issues.length;
    const message = `${count} ${count === 1 ? 'problem' : 'problems'}`;
    return { ...planned, suite: null, state: 'invalid', message, issues: error.issues };
  }
}

function subjectOf(promptName: string, suite: string): string {
  return `${promptName} ${suite}`;
}

const errorCodes = {
  invalid: 'invalid_request',
  duplicate: 'invalid_request',
  forbidden: 'forbidden',
} as const;

/** Each suite in a transaction of its own, after the versions: its prompt may be new with it. */
export async function syncSuites(
  deps: SuiteDependencies,
  actor: Actor,
  files: readonly SuiteFile[],
): Promise<SyncedSuite[]> {
  const synced: SyncedSuite[] = [];
  for (const { state, ...planned } of await planSuites(deps, actor, files)) {
    if (state === 'unchanged') synced.push({ ...planned, outcome: 'unchanged', errorCode: null });
    else if (state === 'new' && planned.suite) {
      synced.push(await register(deps, actor, planned, planned.suite));
    } else if (state !== 'new') synced.push({ ...planned, outcome: 'failed', errorCode: errorCodes[state] });
  }
  return synced;
}

async function register(
  { evaluations, probes }: SuiteDependencies,
  actor: Actor,
  planned: Omit<PlannedSuite, 'state'>,
  { promptName, name, checksum, judge, probe }: CompiledSuite,
): Promise<SyncedSuite> {
  const { path, source, files, git } = planned.file;
  const by = { actor: actor.name, gitCommit: git?.commit ?? null };
  try {
    const judges = judge ? [judge] : [];
    const text = { checksum, source, files, judges, path };
    const registered = await evaluations.registerSuite({ promptName, suite: name, ...text, ...by });
    const held = (await probes.list()).find((one) => one.promptName === promptName && one.suite === name);
    const changes = describeProbe(held ?? null) !== describeProbe(probe);
    if (changes) await probes.register({ promptName, suite: name }, probe, by);
    return { ...planned, outcome: registered || changes ? 'synced' : 'unchanged', errorCode: null };
  } catch (error) {
    const { code, message } = toPromptgateError(error);
    if (code !== 'not_found') throw error;
    return { ...planned, outcome: 'failed', errorCode: code, message };
  }
}

/**
 * Ends the probes whose prompt is in the files and whose suite is not any more: what buys by the clock must not outlive
 * its file. A suite that cannot be read may be any of them: then none is ended. Nor is one that the key has no right to.
 * @returns their names
 */
export async function retireProbes(
  { probes }: SuiteDependencies,
  actor: Actor,
  promptNames: ReadonlySet<string>,
  files: readonly SuiteFile[],
): Promise<string[]> {
  const suites = readSuites(files).map(({ suite }) => suite);
  if (suites.includes(null)) return [];
  const there = new Set(suites.map((suite) => suite && subjectOf(suite.promptName, suite.name)));
  const gone = (await probes.list()).filter(
    ({ promptName, suite }) => promptNames.has(promptName) && !there.has(subjectOf(promptName, suite)),
  );
  const mine = gone.filter(
    ({ promptName, label }) => mayUsePrompt(actor, promptName) && mayUseLabel(actor, label),
  );
  for (const probe of mine) await probes.register(probe, null, { actor: actor.name, gitCommit: null });
  return mine.map(probeNameOf);
}
