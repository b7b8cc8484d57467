/**
 * A template of another tool in promptgate's language: its variables become variables, every other brace stays the
 * text that it is, and what the other tool would compute is refused with its position.
 */
import { SourceText } from './definition-error.ts';
import type { ImportDraft } from './import-draft.ts';
import { isPrototypeName } from './names.ts';

/** Mustache stands for every tool that replaces `{{name}}` and knows little else; Nunjucks has statements as well. */
export type TemplateSyntax = 'mustache' | 'nunjucks';

const variable = /^\{\{\s*([\p{L}_][\p{L}\p{N}_-]*)\s*\}\}/u;
/** Sections, includes, comments, filters, members, calls, white space control: whatever is more than a name. */
const construct = /^\{\{(?:\{\s*[\p{L}_]|\s*[#^/>&!~-][^{}\n]*\}\}|\s*[\p{L}_$@.][^{}\n]*\}\})/u;
/** Nunjucks computes whatever stands in its braces. */
const statement = /^\{(?:%[\s\S]*?%|#[\s\S]*?#|\{[\s\S]*?\})\}/;
const langfuseInclude = /^@@@langfusePrompt:[^@\n]*@@@/;
/** Words of the language itself: as variables they are written as members of `this`. */
const ownWords = /^(?:json|role|history|this|if|unless|each|else|as|true|false|null|undefined|-?\d+)$/;

/** Text, or a variable by its name. */
type Part = string | { readonly name: string };

/** The text in promptgate's language; its variables and what is wrong are added to the draft. `place` names it. */
export function convertTemplate(
  text: string,
  place: string,
  syntax: TemplateSyntax,
  draft: ImportDraft,
): string {
  const parts = cutTemplate(text, place, syntax, draft);
  return parts
    .map((part, index) => {
      const [before, after] = [parts[index - 1], parts[index + 1]];
      if (typeof part === 'string') return writeText(part, before !== undefined, after !== undefined);
      // Beside a brace a value needs a space, which the tilde takes away again.
      const left = typeof before === 'string' && before.endsWith('{') ? '~' : '';
      const right = typeof after === 'string' && after.startsWith('}') ? '~' : '';
      return `{{${left}${ownWords.test(part.name) ? `this.[${part.name}]` : part.name}${right}}}`;
    })
    .join('');
}

/** The parts of the text in their order; no two texts stand beside each other. */
function cutTemplate(text: string, place: string, syntax: TemplateSyntax, draft: ImportDraft): Part[] {
  const source = new SourceText(place, text);
  const parts: Part[] = [];
  let literal = '';
  for (let at = 0; at < text.length; ) {
    const next = nextMark(text, at);
    literal += text.slice(at, next);
    const rest = text.slice(next, next + 2_000);
    const [written = '', name] = variable.exec(rest) ?? [];
    if (name === undefined) {
      const mark = rest.startsWith('{{') ? '{{' : rest.slice(0, 1);
      const fault = findConstruct(rest, syntax);
      const message = fault ?? '`{{` begins no variable here: it stays text';
      const issue = { path: source.issueAtOffset(next, message).path, message };
      if (fault !== undefined) draft.issues.push(issue);
      else if (mark === '{{') draft.notCarried.push(issue);
      literal += mark;
      at = next + mark.length;
      // The end of the text is a mark of no length.
      if (mark === '') break;
      continue;
    }
    if (isPrototypeName(name)) {
      const message = `\`${name}\` is a reserved name: rename the variable.`;
      draft.issues.push({ path: source.issueAtOffset(next, message).path, message });
    }
    draft.variables.add(name);
    parts.push(...(literal === '' ? [] : [literal]), { name });
    literal = '';
    at = next + written.length;
  }
  return literal === '' ? parts : [...parts, literal];
}

/** A backslash means something before `{{` only, and there the first of several is the escape. */
function writeText(text: string, afterVariable: boolean, beforeVariable: boolean): string {
  const start = afterVariable && text.startsWith('}') ? ' ' : '';
  const end = !beforeVariable ? '' : text.endsWith('{') ? ' ' : text.endsWith('\\') ? '\\' : '';
  const escaped = text.replaceAll(/(\\*)\{\{/g, (_, slashes: string) =>
    slashes === '' ? '\\{{' : `${slashes}\\{{!}}\\{{`,
  );
  return start + escaped + end;
}

/** Where the next `{{`, `{%`, `{#` or `@@@` stands; the end of the text when there is none. */
function nextMark(text: string, from: number): number {
  const mark = /\{[{%#]|@@@/g;
  mark.lastIndex = from;
  return mark.exec(text)?.index ?? text.length;
}

function findConstruct(rest: string, syntax: TemplateSyntax): string | undefined {
  const include = langfuseInclude.exec(rest);
  if (include !== null)
    return `${include[0]} takes in another prompt: put its text here, or make it a partial.`;
  const computed = syntax === 'nunjucks' ? statement.exec(rest) : null;
  const shown = (construct.exec(rest) ?? computed)?.[0].split('\n')[0]?.slice(0, 60);
  if (shown === undefined) return undefined;
  return `\`${shown}\` is more than a variable: write it with {{#if}}, {{#each}} or a variable of its own after the import.`;
}
