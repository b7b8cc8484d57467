/** The value that an operand means while a template is rendered, and what that value is called. */
import type { Json, JsonObject } from './json.ts';
import { formatPath } from './json-path.ts';
import type { Operand } from './template.ts';

/** The item that a loop is at. */
export interface Loop {
  item: Json;
  key: string | number;
  path: string;
  first: boolean;
  last: boolean;
  index: number;
}

interface Surroundings {
  readonly variables: JsonObject;
  readonly loops: readonly Loop[];
}

export function createReader(operand: Operand): (rendering: Surroundings) => Json | undefined {
  const slot = operand.loop - 1;
  if ('data' in operand) {
    const { data } = operand;
    return (rendering) => rendering.loops[slot]![data];
  }
  const { parts } = operand;
  const only = parts[0];
  if (slot < 0 && parts.length === 1 && only !== undefined) {
    return (rendering) => (Object.hasOwn(rendering.variables, only) ? rendering.variables[only] : undefined);
  }
  return (rendering) => {
    let value: Json | undefined = slot < 0 ? rendering.variables : rendering.loops[slot]!.item;
    for (const part of parts) value = memberOf(value, part);
    return value;
  };
}

/** An own member; a list has its items and, unlike in JavaScript, nothing else. */
function memberOf(value: Json | undefined, part: string): Json | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return /^\d+$/.test(part) ? value[Number(part)] : undefined;
  return Object.hasOwn(value, part) ? value[part] : undefined;
}

/** Path of the operand's value, as spans and issues show it. */
export function createNamer(operand: Operand): (rendering: Surroundings) => string {
  const slot = operand.loop - 1;
  if ('data' in operand) return (rendering) => `${rendering.loops[slot]!.path}@${operand.data}`;
  const parts = operand.parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const whole = formatPath(parts);
  if (slot < 0) return () => whole;
  if (parts.length === 0) return (rendering) => rendering.loops[slot]!.path;
  return (rendering) => formatPath(parts, rendering.loops[slot]!.path);
}
