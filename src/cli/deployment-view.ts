/** A move of a label as the wire has it, and as commands print it. */
import { paint } from './render.ts';

export interface DeploymentView {
  readonly id: number;
  readonly prompt: string;
  readonly label: string;
  readonly kind: 'deploy' | 'rollback' | 'sync';
  readonly from_version: number | null;
  readonly to_version: number;
  readonly actor: string;
  readonly reason: string | null;
  readonly git_commit: string | null;
  readonly created_at: string;
}

export interface LabelView {
  readonly prompt: string;
  readonly label: string;
  readonly version: number;
  readonly since: string;
  readonly gated: boolean;
  readonly deployment: DeploymentView;
}

/** `v1 → v2`; `→ v2` where the label was new. */
export function renderStep(move: Pick<DeploymentView, 'from_version' | 'to_version'>): string {
  return `${move.from_version === null ? '' : `v${move.from_version} `}→ v${move.to_version}`;
}

export function renderMove(move: DeploymentView): string {
  return `${paint('cyan', move.kind)}  ${move.prompt} ${move.label}: ${renderStep(move)}, by ${move.actor}`;
}
