/** The verbs of a running gateway, bound to their dependencies: what HTTP offers, and nothing below it. */
import { setTimeout } from 'node:timers/promises';
import type { Actor, ApiKey, KeyLimits, Scope } from '../domain/api-key.ts';
import type { StoredBudget } from '../domain/budget.ts';
import type { DailySummary } from '../domain/daily-summary.ts';
import type { PromptgateError } from '../domain/errors.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { Admission, StoredExecution } from '../domain/execution.ts';
import type { TestedVersion } from '../domain/gate.ts';
import type { ArchiveFact, Deployment, LabelPolicy, PromptVersion } from '../domain/prompt-version.ts';
import type { Tool } from '../domain/tool.ts';
import { type AddedVersion, type AddVersionRequest, addVersion } from './add-version.ts';
import { type ArchiveRequest, archivePrompt } from './archive-prompt.ts';
import type { AuditStore, ExecutionFilter } from './audit-store.ts';
import type { AuditCheck, AuditKeeping, Retention } from './audit-verification.ts';
import { type BackfillReport, type BackfillRequest, backfillCosts } from './backfill-costs.ts';
import type { BudgetKeeper } from './budget-keeper.ts';
import type { BudgetStore } from './budget-store.ts';
import type { CostQuestion, CostStore } from './cost-store.ts';
import {
  type DetectDriftDependencies,
  type DetectDriftRequest,
  type DriftReport,
  detectDrift,
  detectDueDrift,
} from './detect-drift.ts';
import type { DriftStore, StoredDriftFinding } from './drift-store.ts';
import { type EvaluateRequest, evaluateVersion } from './evaluate-version.ts';
import type { EvaluationReport } from './evaluation-report.ts';
import type { EvaluationFilter, EvaluationStore } from './evaluation-store.ts';
import {
  type ExecuteDependencies,
  type Executed,
  type ExecuteRequest,
  executePrompt,
  type RawCalls,
  refuseExecution,
} from './execute-prompt.ts';
import { findImportedPrompt, type ImportedPrompt } from './find-imported-prompt.ts';
import { gateLabel, type LabelPolicyRequest } from './gate-label.ts';
import type { InFlight } from './in-flight.ts';
import { authenticate, createKey, revokeKey } from './manage-keys.ts';
import { type MoveLabelRequest, moveLabel } from './move-label.ts';
import { type PlanRequest, planSync, type SyncPlan } from './plan-sync.ts';
import type { ProbeState, ProbeStore, RegisteredProbe } from './probe-store.ts';
import {
  type CompareCostsRequest,
  type ComparedCosts,
  type CostReport,
  compareCosts,
  readCosts,
} from './read-costs.ts';
import { type CoverageReport, readCoverage } from './read-coverage.ts';
import { getEvaluation, listEvaluations } from './read-evaluations.ts';
import { type ExecutionRecord, getExecution, listExecutions } from './read-executions.ts';
import { type GateReport, readGate, readTestedVersions } from './read-gates.ts';
import { type HistoryPage, type LabelState, labelHistory, labelsAt } from './read-labels.ts';
import {
  diffVersions,
  findTools,
  getPrompt,
  getVersion,
  listPrompts,
  type VersionDiff,
} from './read-prompts.ts';
import { type ReadReplaysRequest, readReplays } from './read-replays.ts';
import type { PromptEntry, RegistrySnapshot, SnapshotHealth, VersionTarget } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';
import { type Rendered, type RenderRequest, renderVersion } from './render-version.ts';
import { type Replay, type ReplayRequest, replayExecution } from './replay-execution.ts';
import { type ReplayBatch, type ReplayBatchRequest, replayExecutions } from './replay-executions.ts';
import type { ReplayStore } from './replay-store.ts';
import { type RollBackRequest, rollBack } from './roll-back.ts';
import { type ProbeReport, type ProbeRequest, runProbe } from './run-probe.ts';
import type { ScriptRunner } from './script-runner.ts';
import { type SetBudgetRequest, setBudget } from './set-budget.ts';
import {
  type PostedSummary,
  postDueSummaries,
  postSummary,
  type SummarizeDayDependencies,
  summarizeDay,
} from './summarize-day.ts';
import { type SyncReport, type SyncRequest, syncPrompts } from './sync-prompts.ts';
import { type TellUntakenDependencies, tellUntaken } from './tell-untaken.ts';

export interface Gateway {
  /** Whether requests that bring their own prompt are let through. */
  readonly rawCalls: RawCalls;
  authenticate(secret: string): Actor | undefined;
  executePrompt(request: ExecuteRequest): Promise<Executed>;
  refuseExecution(
    request: Omit<ExecuteRequest, 'variables'>,
    error: PromptgateError,
  ): Promise<PromptgateError>;
  renderVersion(request: RenderRequest): Rendered;
  findImportedPrompt(actor: Actor, promptId: string, promptVersion?: number): ImportedPrompt;
  /** Its call counts among those in flight. */
  replayExecution(request: ReplayRequest): Promise<Replay>;
  /** As `evaluateVersion`, where the gateway stops. */
  replayExecutions(request: ReplayBatchRequest): Promise<ReplayBatch>;
  readReplays(request: ReadReplaysRequest): Promise<ReplayBatch>;
  getExecution(actor: Actor, id: string): Promise<ExecutionRecord>;
  listExecutions(
    actor: Actor,
    filter: ExecutionFilter,
    page: { limit: number; before?: string },
  ): Promise<{ executions: StoredExecution[]; nextCursor: string | null }>;
  readCoverage(
    actor: Actor,
    window: { since?: Date | undefined; until?: Date | undefined },
  ): Promise<CoverageReport>;
  listPrompts(actor: Actor): PromptEntry[];
  getPrompt(actor: Actor, name: string): PromptEntry;
  getVersion(actor: Actor, name: string, target: VersionTarget): PromptVersion;
  findTools(call: Pick<Admission, 'promptName' | 'promptVersion' | 'inputPayload'>): readonly Tool[];
  diffVersions(actor: Actor, name: string, targets: Record<'from' | 'to', VersionTarget>): VersionDiff;
  addVersion(request: AddVersionRequest): Promise<AddedVersion>;
  planSync(request: PlanRequest): Promise<SyncPlan>;
  syncPrompts(request: SyncRequest): Promise<SyncReport>;
  moveLabel(request: MoveLabelRequest): Promise<Deployment | null>;
  rollBack(request: RollBackRequest): Promise<Deployment>;
  labelsAt(actor: Actor, filter: { at: Date | null; promptName?: string }): Promise<LabelState[]>;
  labelHistory(
    actor: Actor,
    request: { promptName: string; label?: string; limit: number; before?: number },
  ): Promise<HistoryPage>;
  /** Where the gateway stops, the run ends after the calls that are on their way, and can be gone on with. */
  evaluateVersion(request: EvaluateRequest): Promise<EvaluationReport>;
  getEvaluation(actor: Actor, runId: string): Promise<Evaluation>;
  listEvaluations(
    actor: Actor,
    promptName: string,
    filter: EvaluationFilter,
    page: { limit: number; before?: number },
  ): Promise<Evaluation[]>;
  archivePrompt(request: ArchiveRequest): Promise<ArchiveFact | null>;
  gateLabel(request: LabelPolicyRequest): Promise<LabelPolicy | null>;
  readGate(actor: Actor, label: string): Promise<GateReport>;
  readTestedVersions(promptName: string): Promise<ReadonlyMap<number, TestedVersion>>;
  createKey(request: {
    actor: Actor;
    name: string;
    scopes: readonly Scope[];
    limits?: KeyLimits;
  }): Promise<{ key: ApiKey; secret: string }>;
  listKeys(): ApiKey[];
  revokeKey(idOrName: string): Promise<ApiKey>;
  /** Takes effect here at once, on other gateways within seconds. @throws PromptgateError invalid_request */
  setBudget(request: SetBudgetRequest): Promise<void>;
  /** Those in force. */
  listBudgets(): Promise<StoredBudget[]>;
  readCosts(actor: Actor, question: CostQuestion): Promise<CostReport>;
  compareCosts(actor: Actor, request: CompareCostsRequest): Promise<ComparedCosts[]>;
  backfillCosts(request: BackfillRequest): Promise<BackfillReport>;
  /** Sums the hours of a period anew. @returns how many facts were summed */
  rebuildCosts(since: Date, until: Date): Promise<number>;
  /** @param day `2026-11-20`, UTC, and over */
  summarizeDay(day: string): Promise<DailySummary>;
  /** Tells the webhook what a day cost: once for all gateways, and again until it is known to be taken. */
  postSummary(actor: Actor, day: string): Promise<PostedSummary>;
  /** Yesterday's, and those of the week before that were claimed and never taken. @throws PromptgateError — one was not taken */
  postDueSummaries(actor: Actor): Promise<void>;
  detectDrift(request: DetectDriftRequest): Promise<DriftReport>;
  /** The run of a time that fell due, once. */
  detectDueDrift(actor: Actor, dueAt: Date): Promise<void>;
  /** What drift and probes found, again to a webhook that is not known to have taken it. */
  tellUntaken(): Promise<void>;
  listDriftFindings(...args: Parameters<DriftStore['listFindings']>): Promise<StoredDriftFinding[]>;
  /** Counts among the calls in flight. A gateway that is told to stop gives it back after the calls on their way. */
  runProbe(request: ProbeRequest): Promise<ProbeReport | null>;
  listProbes(): Promise<RegisteredProbe[]>;
  /** With the last run of each. */
  listProbeStates(): Promise<ProbeState[]>;
  verifyAudit(since?: Date): Promise<AuditCheck[]>;
  retainAudit(monthsKept: number, actor: Actor): Promise<Retention[]>;
  health(): SnapshotHealth;
}

export function createGateway(
  deps: ExecuteDependencies &
    DetectDriftDependencies &
    SummarizeDayDependencies &
    Pick<TellUntakenDependencies, 'news'> & {
      registry: RegistryStore;
      audit: AuditStore;
      snapshot: RegistrySnapshot;
      inFlight: InFlight;
      keeping: AuditKeeping;
      evaluations: EvaluationStore;
      scripts: ScriptRunner;
      costs: CostStore;
      budgets: BudgetKeeper;
      budgetStore: BudgetStore;
      replays: ReplayStore;
      probes: ProbeStore;
      onProbe?: (report: ProbeReport) => void;
    },
): Gateway {
  const { audit, snapshot, evaluations } = deps;
  const execute = (request: ExecuteRequest) =>
    deps.inFlight.run(request.signal, (signal) => executePrompt(deps, { ...request, signal }));
  const clock = { now: Date.now, wait: (milliseconds: number) => setTimeout<void>(milliseconds) };
  return {
    rawCalls: deps.rawCalls,
    authenticate: (secret) => authenticate(snapshot, secret),
    executePrompt: execute,
    refuseExecution: (request, error) => refuseExecution(deps, request, error),
    renderVersion: (request) => renderVersion(snapshot, request),
    findImportedPrompt: (actor, promptId, promptVersion) =>
      findImportedPrompt(snapshot, actor, promptId, promptVersion),
    getExecution: (actor, id) => getExecution(deps, actor, id),
    replayExecution: (request) =>
      deps.inFlight.run(request.signal, (signal) => replayExecution(deps, { ...request, signal })),
    replayExecutions: (request) =>
      deps.inFlight.run(request.signal, (signal) =>
        replayExecutions({ ...deps, execute, ...clock }, { ...request, signal }),
      ),
    readReplays: (request) => readReplays({ ...deps, execute, ...clock }, request),
    listExecutions: (actor, filter, page) => listExecutions(audit, actor, filter, page),
    readCoverage: (actor, window) => readCoverage(audit, actor, window),
    listPrompts: (actor) => listPrompts(snapshot, actor),
    getPrompt: (actor, name) => getPrompt(snapshot, actor, name),
    getVersion: (actor, name, target) => getVersion(snapshot, actor, name, target),
    findTools: (call) => findTools(snapshot, call),
    diffVersions: (actor, name, targets) => diffVersions(snapshot, actor, name, targets),
    addVersion: (request) => addVersion(deps, request),
    planSync: (request) => planSync(deps, request),
    syncPrompts: (request) => syncPrompts(deps, request),
    moveLabel: (request) => moveLabel(deps, request),
    rollBack: (request) => rollBack(deps, request),
    labelsAt: (actor, filter) => labelsAt(deps, actor, filter),
    labelHistory: (actor, request) => labelHistory(deps, actor, request),
    evaluateVersion: (request) =>
      deps.inFlight.run(request.signal, (signal) =>
        evaluateVersion({ ...deps, execute, ...clock }, { ...request, signal }),
      ),
    getEvaluation: (actor, runId) => getEvaluation(evaluations, actor, runId),
    listEvaluations: (actor, promptName, filter, page) =>
      listEvaluations(evaluations, actor, promptName, filter, page),
    archivePrompt: (request) => archivePrompt(deps, request),
    gateLabel: (request) => gateLabel(deps.registry, request),
    readGate: (actor, label) => readGate(deps, actor, label),
    readTestedVersions: (promptName) => readTestedVersions(deps, promptName),
    createKey: (request) => createKey(deps, request),
    listKeys: () => snapshot.listKeys(),
    revokeKey: (idOrName) => revokeKey(deps, idOrName),
    setBudget: (request) => setBudget(deps, request),
    listBudgets: () => deps.budgetStore.list(),
    readCosts: (actor, question) => readCosts(deps.costs, actor, question),
    compareCosts: (actor, request) => compareCosts(deps.costs, actor, request),
    backfillCosts: (request) => backfillCosts(deps, request),
    rebuildCosts: (since, until) => deps.costs.rebuild(since, until),
    summarizeDay: (day) => summarizeDay(deps, day),
    postSummary: (actor, day) => postSummary(deps, actor, day),
    postDueSummaries: (actor) => postDueSummaries(deps, actor),
    detectDrift: (request) => detectDrift(deps, request),
    detectDueDrift: (actor, dueAt) => detectDueDrift(deps, actor, dueAt),
    tellUntaken: () => tellUntaken(deps),
    listDriftFindings: (filter, page) => deps.drift.listFindings(filter, page),
    runProbe: (request) =>
      deps.inFlight.run(request.signal, (signal) =>
        runProbe(
          { ...deps, execute, ...clock, isStopping: deps.inFlight.isStopping },
          { ...request, signal },
        ),
      ),
    listProbes: () => deps.probes.list(),
    listProbeStates: () => deps.probes.listStates(),
    verifyAudit: (since) => deps.keeping.verify(since),
    retainAudit: (monthsKept, actor) => deps.keeping.retain(monthsKept, actor.name),
    health: () => snapshot.health(),
  };
}
