/** How a difference of two definitions is shown: coloured in a terminal, `[-old-]{+new+}` when piped. */
import type { ContractChange } from '../domain/contract.ts';
import type { DefinitionDiff, ParameterChange, TextSegment } from '../domain/definition-diff.ts';
import type { Json } from '../domain/json.ts';
import { paint } from './render.ts';

const contextLines = 2;

/** Empty when nothing differs. */
export function renderDifference({ texts, parameters, contract }: DefinitionDiff, indent = ''): string {
  const lines: string[] = [];
  for (const { title, segments } of texts) {
    lines.push(paint('bold', title), ...renderSegments(segments).split('\n'));
  }
  if (parameters.length > 0) lines.push(paint('bold', 'parameters'), ...parameters.map(renderParameter));
  if (contract.length > 0) lines.push(paint('bold', 'contract'), ...contract.map(renderContract));
  return lines.map((line) => `${indent}${line}`.trimEnd()).join('\n');
}

/** Texts by word, without most of what is the same. */
export function renderSegments(segments: readonly TextSegment[]): string {
  return focus(segments).map(renderSegment).join('').trimEnd();
}

function renderSegment({ kind, text }: TextSegment): string {
  if (kind === 'same') return text;
  const plain = kind === 'removed' ? `[-${text}-]` : `{+${text}+}`;
  const coloured = paint(kind === 'removed' ? ['red', 'strikethrough'] : 'green', text);
  return coloured === text ? plain : coloured;
}

function renderParameter({ name, before, after }: ParameterChange): string {
  return `  ${name}: ${showValue(before)} → ${showValue(after)}`;
}

function renderContract({ path, message, breaking }: ContractChange): string {
  return `  ${breaking ? paint('red', 'BREAKS') : paint('green', 'keeps ')} ${path}: ${message}`;
}

export function showValue(value: Json): string {
  if (value === null) return '(not set)';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Of long unchanged stretches only the lines next to a change, `⋯` for the rest. */
export function focus(segments: readonly TextSegment[]): TextSegment[] {
  return segments.map((segment, index) => {
    if (segment.kind !== 'same') return segment;
    const lines = segment.text.split('\n');
    const head = index === 0 ? 0 : contextLines;
    const tail = index === segments.length - 1 ? 0 : contextLines;
    if (lines.length <= head + tail + 2) return segment;
    const kept = [...lines.slice(0, head + 1), '⋯', ...lines.slice(lines.length - tail - 1)];
    return { kind: 'same', text: (head === 0 ? kept.slice(1) : kept).join('\n') };
  });
}
