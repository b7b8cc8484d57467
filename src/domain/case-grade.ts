/** The grades of one answer's assertions as one: weights, thresholds and sets as promptfoo adds them up. */
import type { Grade } from './assertion-type.ts';

/** A grade with where it came from. */
export interface AssertionGrade extends Grade {
  /** As the suite writes it, e.g. `not-contains`. */
  readonly type: string;
  readonly weight: number;
  readonly metric: string | null;
  /** Of `assert-set`. */
  readonly parts?: readonly AssertionGrade[];
}

/**
 * The score is the weighted mean. Every assertion has to pass, unless a threshold is given: then the score alone decides.
 * An assertion of weight 0 is measured and decides nothing.
 */
export function sumGrades(grades: readonly AssertionGrade[], threshold: number | undefined): Grade {
  const weight = grades.reduce((sum, grade) => sum + grade.weight, 0);
  const score = weight > 0 ? grades.reduce((sum, grade) => sum + grade.score * grade.weight, 0) / weight : 0;
  if (threshold !== undefined) {
    const pass = score >= threshold;
    return { pass, score, reason: `score ${score.toFixed(2)} ${pass ? '≥' : '<'} ${threshold}` };
  }
  const failed = grades.filter(({ pass, weight }) => !pass && weight !== 0);
  const reason = failed.map(({ reason }) => reason).join('; ');
  return { pass: failed.length === 0, score, reason: reason === '' ? 'as demanded' : reason };
}
