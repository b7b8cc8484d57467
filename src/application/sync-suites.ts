/** Suite files → suites in force: what a gate asks of a version changes with the text beside it. */
import type { Actor } from '../domain/api-key.ts';
import { DefinitionError, type DefinitionIssue } from '../domain/definition-error.ts';
import { type ErrorCode, toPromptgateError } from '../domain/errors.ts';
import { type CompiledSuite, compileSuite } from '../domain/evaluation-suite.ts';
import { mayUsePrompt } from '../domain/key-limits.ts';
import type { FileCommit } from './definition-set.ts';
import type { EvaluationStore } from './evaluation-store.ts';

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

/** Against what is in force. */
export async function planSuites(
  evaluations: Pick<EvaluationStore, 'listSuites'>,
  actor: Actor,
  files: readonly SuiteFile[],
): Promise<PlannedSuite[]> {
  if (files.length === 0) return [];
  const registered = await evaluations.listSuites();
  const inForce = new Map(
    registered.map((suite) => [subjectOf(suite.promptName, suite.suite), suite.checksum]),
  );
  return readSuites(files).map((planned) => {
    const { suite, state } = planned;
    if (suite === null) return planned;
    if (!mayUsePrompt(actor, suite.promptName)) {
      return { ...planned, state: 'forbidden', message: 'the key may not use that prompt' };
    }
    const same = inForce.get(subjectOf(suite.promptName, suite.name)) === suite.checksum;
    return state === 'new' && same ? { ...planned, state: 'unchanged' } : planned;
  });
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
  evaluations: Pick<EvaluationStore, 'listSuites' | 'registerSuite'>,
  actor: Actor,
  files: readonly SuiteFile[],
): Promise<SyncedSuite[]> {
  const synced: SyncedSuite[] = [];
  for (const { state, ...planned } of await planSuites(evaluations, actor, files)) {
    if (state === 'unchanged') synced.push({ ...planned, outcome: 'unchanged', errorCode: null });
    else if (state === 'new' && planned.suite) {
      synced.push(await register(evaluations, actor, planned, planned.suite));
    } else if (state !== 'new') synced.push({ ...planned, outcome: 'failed', errorCode: errorCodes[state] });
  }
  return synced;
}

async function register(
  evaluations: Pick<EvaluationStore, 'registerSuite'>,
  actor: Actor,
  planned: Omit<PlannedSuite, 'state'>,
  { promptName, name, checksum, judge }: CompiledSuite,
): Promise<SyncedSuite> {
  const { path, source, files, git } = planned.file;
  try {
    const registered = await evaluations.registerSuite({
      promptName,
      suite: name,
      checksum,
      source,
      files,
      judges: judge ? [judge] : [],
      path,
      gitCommit: git?.commit ?? null,
      actor: actor.name,
    });
    return { ...planned, outcome: registered ? 'synced' : 'unchanged', errorCode: null };
  } catch (error) {
    const { code, message } = toPromptgateError(error);
    if (code !== 'not_found') throw error;
    return { ...planned, outcome: 'failed', errorCode: code, message };
  }
}
