/** What a text of JSON looks like, whatever its values are: `{items:[{name:string}],total:number}`. */

const maxDepth = 4;

/** Undefined: no JSON object or array. */
export function shapeOfJson(text: string): string | undefined {
  const trimmed = text.trim();
  if (!/^[{[]/.test(trimmed)) return undefined;
  try {
    return shapeOf(JSON.parse(trimmed), 0);
  } catch {
    return undefined;
  }
}

/** Keys in order of the alphabet, because a model may write them in any; a list is as its first member is. */
function shapeOf(value: unknown, depth: number): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  if (depth >= maxDepth) return '…';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${shapeOf(value[0], depth + 1)}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${key}:${shapeOf(member, depth + 1)}`).join(',')}}`;
}
