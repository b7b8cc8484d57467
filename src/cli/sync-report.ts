import { paint } from './render.ts';

interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface SyncView {
  readonly files: readonly {
    readonly path: string;
    readonly name: string | null;
    readonly version: number | null;
    readonly outcome: 'synced' | 'unchanged' | 'failed';
    readonly message: string | null;
    readonly issues: readonly Position[];
    readonly warnings: readonly Position[];
  }[];
  readonly deployments: readonly DeploymentView[];
}

export interface DeploymentView {
  readonly prompt: string;
  readonly label: string;
  readonly from_version: number | null;
  readonly to_version: number;
}

/** What changed and what is wrong, then the counts; unchanged files are only counted. */
export function renderSync(report: SyncView): string {
  const lines: string[] = [];
  for (const file of report.files) {
    if (file.outcome === 'synced')
      lines.push(`${paint('green', 'synced')}  ${file.name} v${file.version}  ${file.path}`);
    if (file.outcome === 'failed') {
      lines.push(
        `${paint('red', 'failed')}  ${file.path}: ${file.message}`,
        ...file.issues.map(renderPosition),
      );
    }
    lines.push(...file.warnings.map((warning) => paint('yellow', renderPosition(warning))));
  }
  for (const move of report.deployments) {
    const from = move.from_version === null ? '' : `v${move.from_version} → `;
    lines.push(`${paint('cyan', 'moved')}   ${move.prompt} ${move.label}: ${from}v${move.to_version}`);
  }
  const count = (outcome: string) => report.files.filter((file) => file.outcome === outcome).length;
  lines.push(`${count('synced')} synced, ${count('unchanged')} unchanged, ${count('failed')} failed`);
  return lines.join('\n');
}

function renderPosition(position: Position): string {
  return `  ${position.file}:${position.line}:${position.column}: ${position.message}`;
}
