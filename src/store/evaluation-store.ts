/** Suites and evaluations over `evaluation_suites` and `evaluations`. */
import type { EvaluationStore } from '../application/evaluation-store.ts';
import { PromptgateError } from '../domain/errors.ts';
import { type Pool, sqlStateOf } from './connection.ts';
import { fromEvaluation, fromEvaluationSuite, toEvaluation, toEvaluationSuite } from './evaluation-rows.ts';
import { toGateDemands, toLabelGate, toTestedVersion } from './gate-rows.ts';
import type { QueryCatalog } from './query-catalog.ts';
import { bindRegistryTransactions } from './registry-transactions.ts';

export function createEvaluationStore(
  pool: Pool,
  queries: QueryCatalog,
  options: { readonly deadlineMs: number },
): EvaluationStore {
  const { read, write } = bindRegistryTransactions(pool, queries, options.deadlineMs);
  const findPrompt = queries.bind('findPrompt');
  const listSuites = queries.bind('listSuites');
  const findSuite = queries.bind('findSuite');
  const insertSuite = queries.bind('insertSuite');
  const insertEvaluation = queries.bind('insertEvaluation');
  const findEvaluation = queries.bind('findEvaluation');
  const listEvaluations = queries.bind('listEvaluations');
  const findGateDemands = queries.bind('findGateDemands');
  const listLabelGates = queries.bind('listLabelGates');
  const listTestedVersions = queries.bind('listTestedVersions');

  return {
    async registerSuite(suite) {
      const find = async (sql: Parameters<typeof findSuite>[0]) =>
        (await findSuite(sql, suite.promptName, suite.suite)).map(toEvaluationSuite)[0];
      // A sync at every start-up finds nearly everything in place: look before taking the lock.
      if ((await read(find))?.checksum === suite.checksum) return null;
      return write(async (tx) => {
        if ((await find(tx))?.checksum === suite.checksum) return null;
        const [prompt] = await findPrompt(tx, suite.promptName);
        if (!prompt) {
          throw new PromptgateError('not_found', `There is no prompt "${suite.promptName}" for its suite.`);
        }
        const [row] = await insertSuite(tx, ...fromEvaluationSuite(suite));
        return toEvaluationSuite(row ?? {});
      });
    },
    listSuites: (promptName) =>
      read(async (sql) => (await listSuites(sql, promptName ?? null)).map(toEvaluationSuite)),
    findSuite: (promptName, suite) =>
      read(async (sql) => (await findSuite(sql, promptName, suite)).map(toEvaluationSuite)[0]),
    recordEvaluation: (evaluation) =>
      // Evidence waits for nobody and nobody waits for it: a move that misses it is only refused.
      read(async (sql) => {
        const [inserted] = await insertEvaluation(sql, ...fromEvaluation(evaluation)).catch((error) => {
          if (sqlStateOf(error) !== '23503') throw error;
          const what = `version ${evaluation.version} of "${evaluation.promptName}", its baseline and its judges`;
          throw new PromptgateError(
            'not_found',
            `The evaluation cannot be recorded: ${what} have to be registered as they ran.`,
          );
        });
        const [row] = inserted ? [inserted] : await findEvaluation(sql, evaluation.runId);
        return toEvaluation(row ?? {});
      }),
    findGateDemands: (promptName, label) =>
      read(async (sql) => (await findGateDemands(sql, promptName, label)).map(toGateDemands)[0] ?? null),
    listLabelGates: () => read(async (sql) => (await listLabelGates(sql)).map(toLabelGate)),
    listTestedVersions: (promptName) =>
      read(async (sql) => (await listTestedVersions(sql, promptName)).map(toTestedVersion)),
    findEvaluation: (runId) => read(async (sql) => (await findEvaluation(sql, runId)).map(toEvaluation)[0]),
    listEvaluations: (promptName, { version, suite }, { limit, before }) =>
      read(async (sql) =>
        (await listEvaluations(sql, promptName, version ?? null, suite ?? null, before ?? null, limit)).map(
          toEvaluation,
        ),
      ),
  };
}
