/** A move of a label as the wire has it, and as commands print it. */
import type { DeploymentKind } from '../domain/prompt-version.ts';
import type { LabelGateView } from '../http/gate-view.ts';
import { paint } from './render.ts';

export interface DeploymentView {
  readonly id: number;
  readonly prompt: string;
  readonly label: string;
  readonly kind: DeploymentKind;
  readonly from_version: number | null;
  readonly to_version: number;
  readonly actor: string;
  readonly reason: string | null;
  readonly git_commit: string | null;
  readonly evaluation_id: number | null;
  readonly created_at: string;
}

export interface LabelView {
  readonly prompt: string;
  readonly label: string;
  readonly version: number;
  readonly since: string;
  readonly gated: boolean;
  readonly gate: LabelGateView | null;
  readonly deployment: DeploymentView;
}

/** `v1 → v2`; `→ v2` where the label was new. */
export function renderStep(move: Pick<DeploymentView, 'from_version' | 'to_version'>): string {
  return `${move.from_version === null ? '' : `v${move.from_version} `}→ v${move.to_version}`;
}

export function renderMove(move: DeploymentView): string {
  const evidence = move.evaluation_id === null ? '' : `, on evaluation ${move.evaluation_id}`;
  return `${paintKind(move.kind)}  ${move.prompt} ${move.label}: ${renderStep(move)}, by ${move.actor}${evidence}`;
}

const paints = { deploy: 'cyan', sync: 'cyan', rollback: 'yellow', break_glass: 'red' } as const;

export function paintKind(kind: DeploymentKind): string {
  return paint(paints[kind], kind);
}
