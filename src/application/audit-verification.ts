/** One invariant of the audit trail, and what breaks it. */
export interface AuditCheck {
  readonly name: string;
  /** What holds when there are no violations. */
  readonly about: string;
  readonly violations: number;
  /** Some of what breaks it: execution ids, labels, tables. */
  readonly examples: readonly string[];
}

/** A month of executions that was let go. */
export interface Retention {
  readonly partition: string;
  readonly monthsKept: number;
  /** As the planner knew it. */
  readonly rowsEstimated: number;
  readonly actor: string;
  readonly createdAt: Date;
}

/** Port to what is asked about the audit trail as a whole. */
export interface AuditKeeping {
  /** Looks at every invariant in one snapshot; executions from `since` on, or all. */
  verify(since?: Date): Promise<AuditCheck[]>;
  /**
   * Drops the months before the current one and `monthsKept` (at least 1) before it, whole, and records each.
   * @returns what was dropped, oldest first
   */
  retain(monthsKept: number, actor: string): Promise<Retention[]>;
}
