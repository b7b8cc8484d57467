import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rollbackTarget } from '../../src/domain/rollback-target.ts';

type Move = Parameters<typeof rollbackTarget>[0][number];

const deploy = (toVersion: number): Move => ({ kind: 'deploy', toVersion });
const rollback = (toVersion: number): Move => ({ kind: 'rollback', toVersion });

describe('the target of a rollback', () => {
  it.each<[string, Move[], number | null]>([
    ['nothing, for a label that was never set', [], null],
    ['nothing, for a label that was set once', [deploy(1)], null],
    ['what ran before', [deploy(1), deploy(2)], 1],
    ['one further back the second time, not forth again', [deploy(1), deploy(2), deploy(3), rollback(2)], 1],
    ['nothing, when everything was rolled back', [deploy(1), deploy(2), rollback(1)], null],
    ['past what was rolled back from', [deploy(1), deploy(2), rollback(1), deploy(3)], 1],
    ['the same version twice, when it ran twice', [deploy(1), deploy(2), deploy(1), rollback(2)], 1],
    ['what a sync put there, like any other move', [deploy(1), { kind: 'sync', toVersion: 2 }, deploy(3)], 2],
    [
      'further back, after a rollback of several steps',
      [deploy(1), deploy(2), deploy(3), deploy(4), rollback(2)],
      1,
    ],
    ['nothing, after a rollback to what was never there', [deploy(1), rollback(7)], null],
  ])('is %s', (_, moves, target) => {
    expect(rollbackTarget(moves)).toBe(target);
  });

  /** An undo list: a deployment hangs on what ran, a rollback returns to where it hung. */
  interface State {
    readonly version: number;
    readonly before: State | undefined;
  }

  it('is where an undo list would go, after any moves', () => {
    const steps = fc.array(fc.oneof(fc.constant('rollback' as const), fc.integer({ min: 1, max: 4 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (wanted) => {
        const ledger: Move[] = [];
        let state: State | undefined;
        for (const step of wanted) {
          expect(rollbackTarget(ledger)).toBe(state?.before?.version ?? null);
          if (step === 'rollback') {
            if (!state?.before) continue;
            state = state.before;
            ledger.push(rollback(state.version));
          } else if (step !== state?.version) {
            state = { version: step, before: state };
            ledger.push(deploy(step));
          }
        }
        expect(rollbackTarget(ledger)).toBe(state?.before?.version ?? null);
      }),
    );
  });

  it('repeated, visits every deployment in reverse and ends', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 1_000 }), { minLength: 1 }), (versions) => {
        const ledger = versions.map(deploy);
        const visited: number[] = [];
        for (let target = rollbackTarget(ledger); target !== null; target = rollbackTarget(ledger)) {
          visited.push(target);
          ledger.push(rollback(target));
        }
        expect(visited).toEqual(versions.slice(0, -1).reverse());
      }),
    );
  });
});
