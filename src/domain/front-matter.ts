/**
 * The head of a definition: strict YAML that remembers where everything stands. Anchors, aliases, tags, duplicate keys
 * and numbers that lose digits are refused, so the value is exactly what a reader sees.
 */
import { type DefinitionIssue, SourceText } from './definition-error.ts';
import { isObject, type JsonObject } from './json.ts';
import { type LocatedYaml, parseLocatedYaml } from './located-yaml.ts';

export interface FrontMatter extends Pick<LocatedYaml, 'issueAt'> {
  readonly value: JsonObject;
  readonly body: SourceText;
  readonly issues: readonly DefinitionIssue[];
}

const maxFrontMatterLength = 65_536;

/** Never throws for what the text contains; `value` holds what could be read. */
export function parseFrontMatter(source: SourceText): FrontMatter {
  const split = splitSource(source.text);
  const readable = split !== undefined && split.yaml.length <= maxFrontMatterLength;
  const yaml = parseLocatedYaml(source, {
    text: readable ? split.yaml : '',
    offset: split?.offset ?? 0,
    what: 'The front matter',
  });
  const issues = [...yaml.issues];
  if (split === undefined) {
    const message = 'A definition starts with front matter: a line `---`, its keys, and a second line `---`.';
    issues.push(source.issueAtOffset(0, message));
  } else if (!readable) {
    issues.push(source.issueAtOffset(split.offset, 'The front matter is larger than 64 KiB.'));
  } else if (!isObject(yaml.value) && issues.length === 0) {
    issues.push(source.issueAtOffset(split.offset, 'The front matter is a mapping of keys to values.'));
  }
  return {
    value: isObject(yaml.value) ? yaml.value : {},
    body: new SourceText(source.file, split?.body ?? '', split?.bodyLine ?? 1),
    issues,
    issueAt: yaml.issueAt,
  };
}

interface Split {
  readonly yaml: string;
  readonly offset: number;
  readonly body: string;
  readonly bodyLine: number;
}

/** Lines that are empty or start with `#`, such as a licence, may stand before the front matter. */
function splitSource(text: string): Split | undefined {
  const open = /^(?:[ \t]*(?:#[^\n]*)?\n)*---[ \t]*\n/.exec(text);
  if (open === null) return undefined;
  const offset = open[0].length;
  const close = /^---[ \t]*(?:\n|$)/m.exec(text.slice(offset));
  if (close === null) return undefined;
  const bodyStart = offset + close.index + close[0].length;
  return {
    yaml: text.slice(offset, offset + close.index),
    offset,
    body: text.slice(bodyStart),
    bodyLine: text.slice(0, bodyStart).split('\n').length,
  };
}
