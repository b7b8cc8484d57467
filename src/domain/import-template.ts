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

/** The text in promptgate's language; its variables and what is wrong are added to the draft. `place` names it. */
export function convertTemplate(
  text: string,
  place: string,
  syntax: TemplateSyntax,
  draft: ImportDraft,
): string {
  const source = new SourceText(place, text);
  let result = '';
  let literal = '';
  let afterVariable = false;
  let at = 0;

  const flush = (beforeVariable: boolean) => {
    result += writeLiteral(literal, { afterVariable, beforeVariable });
    literal = '';
  };
  while (at < text.length) {
    const next = nextMark(text, at);
    literal += text.slice(at, next);
    if (next === text.length) break;
    const rest = text.slice(next, next + 2_000);
    const name = variable.exec(rest);
    if (name !== null) {
      const opened = literal.endsWith('{');
      flush(true);
      const closed = text.startsWith('}', next + name[0].length);
      result += `{{${opened ? '~' : ''}${writeName(name[1]!)}${closed ? '~' : ''}}}`;
      if (isPrototypeName(name[1]!)) refuse(next, `\`${name[1]}\` is a reserved name: rename the variable.`);
      draft.variables.add(name[1]!);
      afterVariable = true;
      at = next + name[0].length;
      continue;
    }
    const found = findConstruct(rest, syntax);
    if (found !== undefined) refuse(next, found);
    else if (rest.startsWith('{{')) note(next);
    const length = rest.startsWith('{{') ? 2 : 1;
    literal += rest.slice(0, length);
    at = next + length;
  }
  flush(false);
  return result;

  function refuse(offset: number, message: string): void {
    const { path } = source.issueAtOffset(offset, message);
    draft.issues.push({ path, message });
  }

  function note(offset: number): void {
    const { path } = source.issueAtOffset(offset, '');
    draft.notCarried.push({ path, message: '`{{` begins no variable here: it stays text' });
  }

  function writeLiteral(part: string, beside: { afterVariable: boolean; beforeVariable: boolean }): string {
    const start = beside.afterVariable && part.startsWith('}') ? ' ' : '';
    const end = beside.beforeVariable && part.endsWith('{') ? ' ' : '';
    // A backslash means something before `{{` only, and there the first of several is the escape.
    const slashes = beside.beforeVariable && part.endsWith('\\') ? '\\' : '';
    const escaped = part.replaceAll(/(\\*)\{\{/g, (_, before: string) =>
      before === '' ? '\\{{' : `${before}\\{{!}}\\{{`,
    );
    return start + escaped + end + slashes;
  }
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

function writeName(name: string): string {
  return ownWords.test(name) ? `this.[${name}]` : name;
}
