import { describe, expect, it } from 'vitest';
import { type Definition, DefinitionError, parseDefinition } from '../../src/domain/definition.ts';
import { diffDefinitions } from '../../src/domain/definition-diff.ts';
import { applyOverrides, governOverrides, type Overrides } from '../../src/domain/overrides.ts';
import type { Parameters } from '../../src/domain/prompt-version.ts';

function definitionOf(overridable: string): Definition {
  const head = `name: p\nversion: 1\nmodel: gpt-4o-mini\nconfig: { temperature: 0.2, seed: 1 }`;
  return parseDefinition(`---\n${head}\n${overridable}\n---\nHello`, { path: 'p.prompt' });
}

function refusalOf(overridable: string): string {
  try {
    definitionOf(overridable);
    return '';
  } catch (error) {
    if (error instanceof DefinitionError) return error.message;
    throw error;
  }
}

describe('overridable', () => {
  it('is read with bounds, times in milliseconds', () => {
    const written =
      'overridable: { model: [a, b], temperature: { min: 0.1, max: 1 }, timeout: { max: 30s }, tools: any, reasoningEffort: [low] }';
    expect(definitionOf(written).overridable).toEqual({
      ...{ model: ['a', 'b'], temperature: { min: 0.1, max: 1 }, timeout: { max: 30_000 } },
      ...{ tools: 'any', reasoningEffort: ['low'] },
    });
  });

  it('is part of the checksum, by what it means', () => {
    const sums = [
      '',
      'overridable: {}',
      'overridable: { timeout: { max: 30 } }',
      'overridable: { timeout: { max: 30s } }',
      'overridable: { timeout: { max: 31s } }',
    ].map((written) => definitionOf(written).checksum);
    expect(sums[1]).toBe(sums[0]);
    expect(sums[3]).toBe(sums[2]);
    expect(new Set(sums).size).toBe(3);
  });

  it.each([
    ['overridable: any', 'p.prompt:6:14'],
    ['overridable: { model: gpt-4o }', 'p.prompt:6:23'],
    ['overridable: { model: [] }', 'p.prompt:6:23'],
    ['overridable: { model: [a, a] }', 'p.prompt:6:23'],
    ['overridable: { seed: {} }', 'p.prompt:6:22'],
    ['overridable: { seed: { max: 0.5 } }', 'p.prompt:6:22'],
    ['overridable: { topP: { min: 0.9, max: 0.1 } }', 'p.prompt:6:22'],
    ['overridable: { topP: { most: 1 } }', 'p.prompt:6:22'],
    ['overridable: { tools: [a] }', 'p.prompt:6:23'],
    ['overridable: { stopSequences: [a] }', 'p.prompt:6:31'],
    ['overridable: { max_tokens: any }', 'p.prompt:6:16'],
  ])('is refused at its place: %s', (written, place) => {
    expect(refusalOf(written).startsWith(place), refusalOf(written)).toBe(true);
  });

  it('is told by a diff', () => {
    const diff = diffDefinitions(definitionOf(''), definitionOf('overridable: { seed: any }'));
    expect(diff.parameters).toEqual([{ name: 'overridable.seed', before: null, after: 'any' }]);
    expect(diff.contract.map(({ path, breaking }) => [path, breaking])).toEqual([
      ['overridable.seed', false],
    ]);
  });
});

describe('governOverrides', () => {
  const { overridable } = definitionOf(
    'overridable: { topP: { max: 0.9 }, timeout: { max: 2s }, model: [a] }',
  );
  const govern = (overrides: Overrides, demanded: string[] = []) =>
    governOverrides(overridable, overrides, { spelling: { topP: 'top_p' }, demanded });

  it('lets through what is within its bounds', () => {
    const overrides = { model: 'a', parameters: { topP: 0.9, timeoutMs: 2_000 } };
    expect(govern(overrides)).toBe(overrides);
  });

  it.each<[Overrides, string[]]>([
    [{ parameters: { topP: 0.91 } }, ['top_p']],
    [{ parameters: { topP: 1, seed: 3 } }, ['top_p', 'seed']],
    [{ parameters: { timeoutMs: 2_001 } }, ['timeout']],
    [{ model: 'b', tools: [], output: { format: 'text', schema: null } }, ['model', 'tools', 'output']],
  ])('refuses every other, each at the place where its API has it: %j', (overrides, places) => {
    expect(() => govern(overrides)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        issues: places.map((path) => expect.objectContaining({ path })),
      }),
    );
  });

  it('drops what the API demands of everybody and the definition does not allow', () => {
    expect(govern({ parameters: { topP: 1 } }, ['topP'])).toEqual({});
    const parameters: Parameters = { topP: 1, timeoutMs: 5 };
    expect(govern({ model: 'a', parameters }, ['topP'])).toEqual({
      model: 'a',
      parameters: { timeoutMs: 5 },
    });
  });

  it('changes what it names and nothing else', () => {
    const definition = definitionOf('');
    const applied = applyOverrides(definition, {
      parameters: { seed: 2 },
      output: { format: 'json', schema: null },
    });
    expect(applied.parameters).toEqual({ temperature: 0.2, seed: 2 });
    expect(applied).toMatchObject({
      model: definition.model,
      tools: [],
      outputFormat: 'json',
      outputSchema: null,
    });
    expect(applied.validateOutput('no json', 'stop')).toHaveLength(1);
    expect(definition.parameters).toEqual({ temperature: 0.2, seed: 1 });
  });
});
