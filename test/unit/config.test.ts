import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, traceSettingsOf } from '../../src/config.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import { parseMoney } from '../../src/domain/money.ts';

const empty = mkdtempSync(join(tmpdir(), 'promptgate-config-'));

function issuesOf(environment: Record<string, string>, directory = empty): string[] {
  try {
    loadConfig(environment, directory);
  } catch (error) {
    if (error instanceof PromptgateError)
      return error.issues.map((issue) => `${issue.path}: ${issue.message}`);
    throw error;
  }
  return [];
}

function directoryWith(file: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'promptgate-config-'));
  writeFileSync(join(directory, 'promptgate.yaml'), file);
  return directory;
}

describe('configuration', () => {
  it('has a default for everything but secrets and addresses', () => {
    const { values, providers } = loadConfig({}, empty);
    expect(values).toMatchObject({ PORT: 8080, HOST: '127.0.0.1', PROMPTGATE_DATA_DIR: '.promptgate' });
    expect(values.DATABASE_URL).toBeUndefined();
    expect(providers).toEqual([]);
  });

  it('reports everything that is wrong together, and never shows a secret', () => {
    const issues = issuesOf({
      PORT: '99999',
      DATABASE_URL: 'mysql://root:hunter2@db/x',
      PROMPTGATE_LOG_LEVEL: 'loud',
      PROMPTGATE_DATADIR: 'x',
    });
    expect(issues).toHaveLength(4);
    expect(issues.join('\n')).toContain('did you mean PROMPTGATE_DATA_DIR?');
    expect(issues.join('\n')).not.toContain('hunter2');
  });

  it('refuses a schedule of summaries that nobody would be told of', () => {
    expect(issuesOf({ PROMPTGATE_COSTS_SCHEDULE: '0 6 * * *' })).toEqual([
      'PROMPTGATE_COSTS_SCHEDULE: needs PROMPTGATE_WEBHOOK_URL to post to',
    ]);
  });

  it('wants traces only of a receiver that is named, and not where the standard switches are off', () => {
    const receiver = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/' };
    const settingsOf = (environment: Record<string, string>) =>
      traceSettingsOf(loadConfig(environment, empty).values);
    expect(settingsOf({})).toBeNull();
    expect(settingsOf({ ...receiver, OTEL_TRACES_SAMPLER: 'always_on' })).toEqual({
      url: 'http://127.0.0.1:4318/v1/traces',
      sampler: 'always_on',
      ratio: 1,
      content: false,
    });
    expect(settingsOf({ ...receiver, OTEL_SDK_DISABLED: 'TRUE' })).toBeNull();
    expect(settingsOf({ ...receiver, OTEL_TRACES_EXPORTER: 'none' })).toBeNull();
  });

  it('refuses gRPC where traces would be sent, and says what to set', () => {
    const grpc = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    const receiver = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317' };
    expect(issuesOf({ ...grpc, ...receiver })).toEqual([
      expect.stringMatching(/^OTEL_EXPORTER_OTLP_PROTOCOL: is grpc.*4318.*http\/json/),
    ]);
    for (const rest of [
      {},
      { ...receiver, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' },
      { ...receiver, OTEL_TRACES_EXPORTER: 'none' },
    ]) {
      expect(loadConfig({ ...grpc, ...rest }, empty).values.PORT).toBe(8080);
    }
  });

  it('masks keys and passwords, and says where each value came from', () => {
    const { entries } = loadConfig(
      {
        OPENAI_API_KEY: 'sk-verysecretvalue',
        DATABASE_URL: 'postgres://app:hunter2@hunter@db:5432/x?password=hunter3',
        OPENAI_BASE_URL: 'https://hunter4@azure.example/v1?api-key=hunter5',
      },
      empty,
    );
    const text = JSON.stringify(entries);
    expect(text).not.toMatch(/verysecret|hunter/);
    expect(entries.find(({ name }) => name === 'OPENAI_API_KEY')).toMatchObject({ from: 'environment' });
    expect(entries.find(({ name }) => name === 'PORT')).toMatchObject({ from: 'default', value: '8080' });
  });

  it('takes named OpenAI-compatible providers from the file', () => {
    const directory = directoryWith(
      'providers:\n  groq:\n    base_url: https://api.groq.example/openai/v1\n    key_variable: GROQ_API_KEY\n    model_prefixes: [llama-]\n  ollama: { base_url: "http://127.0.0.1:11434/v1" }\n',
    );
    const { providers } = loadConfig({ GROQ_API_KEY: 'gsk' }, directory);
    expect(providers).toMatchObject([
      { name: 'groq', wire: 'openai', apiKey: 'gsk', modelPrefixes: ['llama-'] },
      { name: 'ollama', baseUrl: 'http://127.0.0.1:11434/v1', modelPrefixes: [] },
    ]);
    expect(issuesOf({}, directory)).toEqual([
      'promptgate.yaml:4:5: providers.groq.key_variable: GROQ_API_KEY is not set',
    ]);
  });

  it('takes the wire of a provider from the file, and of the built-in one from the environment', () => {
    const directory = directoryWith(
      'providers:\n  codex: { wire: openai-responses, base_url: "https://api.openai.example/v1" }\n',
    );
    const { providers, entries } = loadConfig(
      { OPENAI_API_KEY: 'k', OPENAI_WIRE: 'openai-responses' },
      directory,
    );
    expect(providers).toMatchObject([
      { name: 'openai', wire: 'openai-responses' },
      { name: 'codex', wire: 'openai-responses' },
    ]);
    expect(entries.find(({ name }) => name === 'provider codex')?.value).toMatch(/^openai-responses wire at/);
    expect(issuesOf({ OPENAI_WIRE: 'anthropic' }, directory).join()).toMatch(/OPENAI_WIRE/);
  });

  it.each([
    ['providers:\n  x: { wire: smtp, base_url: "http://x" }', /wire/],
    ['providers: [', /not valid YAML/],
    ['provider: {}', /provider/],
    ['providers:\n  x: { base_url: nope }', /base_url/],
    ['providers:\n  openai: { base_url: "http://x" }', /built in/],
  ])('refuses the file %j', (file, complaint) => {
    expect(issuesOf({}, directoryWith(file)).join('\n')).toMatch(complaint);
  });

  it('takes what models cost from the file, for the providers that it names', () => {
    const directory = directoryWith(
      [
        'prices:',
        '  - { provider: openai, model: gpt-4o*, currency: EUR, input: 2.1, cached_input: "1.05", output: 8.4 }',
        '  - provider: openai',
        '    model: gpt-4o*',
        '    since: 2027-01-01',
        '    input: { base: 2, above: { 128000: 4 } }',
        '    output: 8',
        '    service_tiers: { priority: { input: 4, output: 16 } }',
      ].join('\n'),
    );
    const [openai] = loadConfig({ OPENAI_API_KEY: 'k' }, directory).providers;
    expect(openai?.prices).toMatchObject([
      {
        model: 'gpt-4o*',
        currency: 'EUR',
        since: null,
        source: expect.stringMatching(/^config@[0-9a-f]{12}$/),
      },
      { currency: 'USD', since: new Date('2027-01-01T00:00:00Z') },
    ]);
    const [now, later] = openai!.prices!;
    expect(now!.source).not.toBe(later!.source);
    expect([...now!.tiers.get('standard')!.keys()]).toEqual([
      'input_tokens',
      'cache_read_tokens',
      'output_tokens',
    ]);
    const steps = [{ above: 128_000, price: parseMoney('4') }];
    expect(later!.tiers.get('standard')!.get('input_tokens')).toEqual({ base: parseMoney('2'), steps });
    expect([...later!.tiers.keys()]).toEqual(['standard', 'priority']);
  });

  it.each([
    ['prices:\n  - { provider: openai, model: x, input: 1 }', '2:5: prices.0.output: '],
    [
      'prices:\n  - { provider: openai, model: x, input: -1, output: 1 }',
      '2:35: prices.0.input: must be an amount',
    ],
    [
      'prices:\n  - provider: openai\n    model: x\n    inptu: 1\n    input: 1\n    output: 1',
      '4:5: prices.0.inptu: is not',
    ],
    [
      'prices:\n  - { provider: opnai, model: x, input: 1, output: 1 }',
      '2:7: prices.0.provider: "opnai" is not a configured',
    ],
    [
      'prices:\n  - { provider: openai, model: x*y, input: 1, output: 1 }',
      '2:25: prices.0.model: may have one *',
    ],
    [
      'prices:\n  - { provider: openai, model: x, currency: euro, input: 1, output: 1 }',
      '2:35: prices.0.currency: ',
    ],
    [
      'prices:\n  - { provider: openai, model: x, input: 0.1234567890123, output: 1 }',
      '2:35: prices.0.input: ',
    ],
  ])('refuses the price %j at its line', (file, complaint) => {
    expect(issuesOf({}, directoryWith(file)).join('\n')).toContain(`promptgate.yaml:${complaint}`);
  });

  it('accepts a base URL without a key, as many local servers want none', () => {
    expect(loadConfig({ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }, empty).providers).toMatchObject([
      { name: 'openai', baseUrl: 'http://127.0.0.1:1/v1' },
    ]);
  });

  it('takes raw calls as the file says, unless the environment says otherwise', () => {
    const directory = directoryWith('raw: audit\n');
    const told = loadConfig({}, directory);
    expect(told.values.PROMPTGATE_RAW).toBe('audit');
    expect(told.entries.find(({ name }) => name === 'PROMPTGATE_RAW')).toMatchObject({
      value: 'audit',
      from: 'file',
    });
    expect(loadConfig({ PROMPTGATE_RAW: 'refuse' }, directory).values.PROMPTGATE_RAW).toBe('refuse');
    expect(loadConfig({}, empty).values.PROMPTGATE_RAW).toBe('refuse');
    expect(issuesOf({}, directoryWith('raw: allow\n')).join('\n')).toContain('promptgate.yaml:1');
  });
});
