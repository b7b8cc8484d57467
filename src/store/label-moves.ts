/**
 * Moving a label: pointer and ledger row together. Both verbs run behind the registry lock, so what they read is what
 * holds until they commit: of two movers who saw the same, one wins and the other hears of it.
 */
import type { z } from 'zod';
import type { LabelMove, Rollback } from '../application/registry-store.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Deployment, DeploymentKind, PromptVersion } from '../domain/prompt-version.ts';
import { rollbackTarget } from '../domain/rollback-target.ts';
import { decisionSchema } from './gate-rows.ts';
import type { QueryCatalog, Sql } from './query-catalog.ts';
import { toDeployment, toLabel, toMove, toPromptVersion } from './registry-rows.ts';

export interface LabelMoves {
  move(tx: Sql, move: LabelMove): Promise<Deployment | null>;
  rollBack(tx: Sql, rollback: Rollback): Promise<Deployment>;
  /** Why the move may not be; undefined when it may. */
  explain(sql: Sql, move: Asked): Promise<PromptgateError | undefined>;
}

type Asked = Pick<LabelMove, 'promptName' | 'label' | 'toVersion' | 'kind' | 'actor'>;

/** What a move is refused for whether or not its label is gated. */
const ungatedRefusals = ['prompt_archived', 'version_archived', 'not_a_mover', 'never_held'];

/** @param onGateRefusal hears of each move that was tried and that a gate refused */
export function bindLabelMoves(
  queries: QueryCatalog,
  onGateRefusal: (label: string) => void = () => {},
): LabelMoves {
  const findVersion = queries.bind('findVersion');
  const findLabel = queries.bind('findLabel');
  const listMoves = queries.bind('listMoves');
  const decideDeployment = queries.bind('decideDeployment');
  const goesBack = queries.bind('goesBack');
  const insertDeployment = queries.bind('insertDeployment');
  const pointLabel = queries.bind('pointLabel');

  async function getVersion(tx: Sql, promptName: string, version: number): Promise<PromptVersion> {
    const [row] = await findVersion(tx, promptName, version);
    if (row) return toPromptVersion(row);
    throw new PromptgateError('not_found', `"${promptName}" has no version ${version}.`);
  }

  async function getHeld(tx: Sql, asked: Rollback): Promise<number | null> {
    const { promptName, label, expectedVersion, expectedDeployment } = asked;
    const [row] = await findLabel(tx, promptName, label);
    const held = row ? toLabel(row).version : null;
    if (expectedDeployment !== undefined && Number(row?.deployment_id) !== expectedDeployment) {
      throw new PromptgateError('conflict', `Label "${label}" of "${promptName}" has been moved since.`);
    }
    if (expectedVersion === undefined || expectedVersion === held) return held;
    throw new PromptgateError(
      'conflict',
      `Label "${label}" of "${promptName}" ${held === null ? 'points at nothing' : `points at version ${held}`}, not ${expectedVersion === null ? 'at nothing' : `at version ${expectedVersion}`} as expected.`,
    );
  }

  async function decide(sql: Sql, { promptName, label, toVersion, kind, actor }: Asked) {
    const [answer] = await decideDeployment(sql, promptName, label, toVersion, kind, actor);
    return decisionSchema.parse(answer);
  }

  async function explain(sql: Sql, move: Asked): Promise<PromptgateError | undefined> {
    return toError(await decide(sql, move));
  }

  /** What a move is, whatever it was asked as: going back is a rollback, and an open gate has no glass to break. */
  async function kindOf(sql: Sql, move: Asked): Promise<DeploymentKind> {
    const { promptName, label, toVersion, kind } = move;
    if (kind === 'sync') {
      const [answer] = await goesBack(sql, promptName, label, toVersion);
      return answer?.back === true ? 'rollback' : 'sync';
    }
    if (kind !== 'break_glass') return kind;
    return (await explain(sql, { ...move, kind: 'deploy' })) ? 'break_glass' : 'deploy';
  }

  /** Everything that the caller has decided, done: the database agrees or nothing happens. */
  async function record(
    tx: Sql,
    move: Omit<LabelMove, 'review' | 'expectedVersion'>,
    held: number | null,
  ): Promise<Deployment> {
    const { promptName, label, toVersion } = move;
    const kind = await kindOf(tx, move);
    const decision = await decide(tx, { ...move, kind });
    const refused = toError(decision);
    if (refused) {
      if (!ungatedRefusals.includes(decision.refusal ?? '')) onGateRefusal(label);
      throw refused;
    }
    const [row] = await insertDeployment(
      tx,
      ...[promptName, label, kind, held, toVersion, move.actor, move.reason, move.gitCommit],
    );
    const deployment = toDeployment(row ?? {});
    await pointLabel(tx, promptName, label, toVersion, deployment.id);
    return deployment;
  }

  return {
    explain: async (sql, move) => explain(sql, { ...move, kind: await kindOf(sql, move) }),
    async move(tx, move) {
      const target = await getVersion(tx, move.promptName, move.toVersion);
      const held = await getHeld(tx, move);
      if (held === move.toVersion) return null;
      if (move.review)
        move.review(held === null ? null : await getVersion(tx, move.promptName, held), target);
      return record(tx, move, held);
    },
    async rollBack(tx, rollback) {
      const { promptName, label } = rollback;
      const held = await getHeld(tx, rollback);
      const toVersion =
        rollback.toVersion ?? rollbackTarget((await listMoves(tx, promptName, label)).map(toMove));
      if (held === null) {
        throw new PromptgateError('not_found', `Label "${label}" of "${promptName}" was never set.`);
      }
      if (toVersion === null) {
        throw new PromptgateError(
          'conflict',
          `Nothing ran before version ${held} on label "${label}" of "${promptName}". Deploy a version by its number instead.`,
        );
      }
      if (toVersion === held) {
        throw new PromptgateError(
          'conflict',
          `Label "${label}" of "${promptName}" holds version ${held} already.`,
        );
      }
      return record(tx, { ...rollback, toVersion, kind: 'rollback' }, held);
    },
  };
}

function toError({
  refusal,
  message,
  command,
}: z.output<typeof decisionSchema>): PromptgateError | undefined {
  if (refusal === null) return undefined;
  const code = refusal === 'not_a_mover' ? 'forbidden' : 'conflict';
  return new PromptgateError(code, `${message} Next: \`${command}\``);
}
