/** A judge: a registered prompt that is given an answer and a rubric, and says whether the one fits the other. */
import { AssertionCrash, type Grade } from './assertion-type.ts';
import type { Json, JsonObject } from './json.ts';

export interface JudgeReference {
  readonly name: string;
  readonly version: number;
}

/** `grade-answer@3`. */
export function readJudge(text: string): JudgeReference {
  const at = text.lastIndexOf('@');
  return { name: text.slice(0, at), version: Number(text.slice(at + 1)) };
}

/** What a judge is given. Both are data: neither can become an instruction by its place. */
export function toJudgeVariables(rubric: Json, output: string): JsonObject {
  return { rubric: typeof rubric === 'string' ? rubric : JSON.stringify(rubric), output };
}

/**
 * The judge's answer as a grade: JSON with `pass`, and perhaps `score` (0 to 1) and `reason`. A threshold asks for the
 * score as well.
 * @throws AssertionCrash — it says neither pass nor fail
 */
export function readJudgement(output: string, threshold: number | undefined, inverse: boolean): Grade {
  const said = parseObject(output);
  if (!said || typeof said.pass !== 'boolean') {
    throw new AssertionCrash('llm-rubric: the judge did not answer with JSON that has `pass`');
  }
  const score = typeof said.score === 'number' ? said.score : Number(said.pass);
  // On another scale than the thresholds': 5 of 10 would be above each of them.
  if (!(score >= 0 && score <= 1)) {
    throw new AssertionCrash('llm-rubric: the score of the judge is not from 0 to 1');
  }
  const fits = said.pass && (threshold === undefined || score >= threshold);
  const pass = fits !== inverse;
  const reason = typeof said.reason === 'string' ? said.reason.slice(0, 1_000) : 'the judge gives no reason';
  return { pass, score: inverse ? 1 - score : score, reason: pass ? reason : `llm-rubric: ${reason}` };
}

/** Judges like to wrap their JSON in a fence. */
function parseObject(output: string): JsonObject | undefined {
  const [, fenced] = /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(output) ?? [];
  try {
    const value = JSON.parse(fenced ?? output) as Json;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
