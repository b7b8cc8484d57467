import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DefinitionError, parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import type { Message } from '../../src/domain/message.ts';

interface Case {
  readonly name: string;
  readonly schema?: unknown;
  readonly defaults?: unknown;
  readonly body: string;
  readonly partials?: Record<string, string>;
  readonly variables?: unknown;
  readonly messages?: readonly (readonly [Message['role'], string])[];
  readonly expect?: readonly (readonly [string, string])[];
  readonly refused?: string;
  readonly error?: string;
  readonly path?: string;
}

const cases: readonly Case[] = JSON.parse(
  readFileSync(new URL('../conformance/template.json', import.meta.url), 'utf8'),
);

const frontMatterLines = 6;

function parse({ schema, defaults, body, partials = {} }: Case) {
  const input = JSON.stringify({ ...(schema ? { schema } : {}), ...(defaults ? { default: defaults } : {}) });
  const source = `---\nname: case\nversion: 1\nmodel: test/model\ninput: ${input}\n---\n${body}`;
  return parseDefinition(source, { path: 'body', partial: (name) => partials[name] });
}

function caught(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

describe('conformance cases', () => {
  test.each(cases)('$name', (each) => {
    if (each.refused !== undefined) {
      const error = caught(() => parse(each));
      expect(error).toBeInstanceOf(DefinitionError);
      const places = (error as DefinitionError).issues.map(({ file, line, column }) =>
        file === 'body'
          ? `${line - frontMatterLines}:${column}`
          : `${file.replace('partial ', '')}:${line}:${column}`,
      );
      expect(places).toEqual([each.refused]);
      return;
    }
    const definition = parse(each);
    const history = each.messages?.map(([role, content]) => ({ role, content }));
    const run = () => renderPrompt(definition, each.variables ?? {}, history);
    if (each.error === undefined) {
      expect(run().messages.map(({ role, content }) => [role, content])).toEqual(each.expect);
      return;
    }
    const error = caught(run) as PromptgateError;
    expect(error).toBeInstanceOf(PromptgateError);
    expect({ code: error.code, path: error.issues[0]?.path }).toEqual({ code: each.error, path: each.path });
  });
});
