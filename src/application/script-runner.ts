import type { Json, JsonObject } from '../domain/json.ts';

/** What a script is told besides the answer's text. */
export interface ScriptContext {
  readonly vars: JsonObject;
  readonly config: JsonObject;
  readonly test: { readonly id: string; readonly description: string | null };
}

/** Port to the place where text of a suite may run: bounded in time and memory, and without reach. */
export interface ScriptRunner {
  /** Why `javascript` may not run; null when it may. Patterns always may. */
  readonly refusal: string | null;
  /**
   * The value of an expression, or what a function body returns.
   * @throws Error — it threw, took too long or too much, or returned nothing that JSON can hold
   */
  evaluate(code: string, output: string, context: ScriptContext): Promise<Json>;
  /** Whether a text matches a regular expression. @throws Error — it took too long */
  matches(pattern: string, text: string): Promise<boolean>;
}
