// Over everything that a definition and a call can hold: a row that was read back makes the messages that were sent.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExecuteRequest } from '../../src/application/execute-prompt.ts';
import { draftAdmission, prepareExecution } from '../../src/application/prepare-execution.ts';
import { createRegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import { planReplay } from '../../src/application/replay-execution.ts';
import { loadConfig, simulatedProviders } from '../../src/config.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import type { StoredExecution } from '../../src/domain/execution.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Message } from '../../src/domain/message.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, systemActor, type TestGateway } from '../support/gateway.ts';
import { execution } from '../support/records.ts';

const define = (name: string, schema: string, body: string, extra = '', input = '') =>
  `---\nname: ${name}\nversion: 1\nmodel: gpt-4o-mini\n${extra}input:\n  schema: ${schema}\n${input}---\n${body}\n`;
const tool = 'tools:\n  look_up: { description: Finds it., input: { name: string } }\n';
const files = {
  '_tone.prompt': 'Be {{tone}}.',
  'words.prompt': define(
    'words',
    '{ text: string, tone?: string }',
    '{{role "system"}}\n{{> tone}}\n{{role "user"}}\n{{! nobody sees this }}{{text}} \\{{text}}',
    '',
    '  default: { tone: kind }\n',
  ),
  'lists.prompt': define(
    'lists',
    '{ items(array): { name: string }, on: boolean, count: number }',
    '{{#each items}}{{@index}}. {{name}}\n{{else}}none{{/each}}{{#if on}}on{{else}}off{{/if}}{{#unless on}} really{{/unless}} {{count}} {{json items}}',
  ),
  'paths.prompt': define(
    'paths',
    '{ ticket: { subject: string, owner: { name: string } }, tags(array): string, level: integer, closed: boolean }',
    [
      '{{ticket.subject}} of {{ticket.owner.name}}, {{tags.[0]}}: {{json ticket indent=2}}',
      '{{#if closed}}closed{{else if level}}level {{level}}{{else if tags}}tagged{{else}}open{{/if}}',
      '{{#unless closed}}on{{else}}off{{/unless}} { {{~level~}} } \\\\{{level}}{{!-- a {{note}} --}}',
      '{{role "model"}}',
      'Which?',
      '{{role "user"}}',
      '{{#each tags}}{{#if @first}}<{{/if}}{{@index}} {{this}}{{#unless @last}}, {{else}}>{{/unless}}{{/each}}',
    ].join('\n'),
  ),
  'loops.prompt': define(
    'loops',
    '{ unit: string, rows(array): { name: string, cells(array): string }, marks(object): { (*): number } }',
    [
      'By {{unit}}:',
      '{{#each rows}}',
      '{{name}} ({{unit}}): {{#each cells}}{{@index}}={{this}}{{#unless @last}};{{/unless}}{{else}}none{{/each}}',
      '{{#each cells as |cell at|}}{{at}}{{cell}}{{name}}{{/each}}',
      '{{/each}}',
      '{{#each marks}}{{@key}} {{this}}{{#if @last}}.{{/if}} {{/each}}',
      '{{#each marks as |mark key|}}{{key}}:{{mark}}{{/each}}',
    ].join('\n'),
  ),
  'turns.prompt': define(
    'turns',
    '{ text: string }',
    '{{role "system"}}\nBe kind.\n{{history}}\n{{role "user"}}\n{{text}}',
    `config: { temperature: 0.1 }\n${tool}`,
  ),
  'sights.prompt': define(
    'sights',
    '{ photo: image, report?: file, text: string }',
    '{{media url=photo}}{{#if report}}{{media url=report}}{{/if}}\n{{text}}',
  ),
};
const draft = define(
  'words',
  '{ text: string, extra: any }',
  'A draft: {{text}} {{json extra}}{{> tone}}',
).replace('{{> tone}}', '');

const odd = [
  'plain',
  '',
  ' spaces \n\n',
  '{{text}}',
  '<b>&amp;</b>',
  'ünï🙂\u2028',
  '{"b":1,"a":[]}',
  '\u0001\ttab',
  '\r\nlines',
];
const data = Buffer.from('a picture').toString('base64');

const requestAt = (index: number): ExecuteRequest => {
  const text = `${odd[index % odd.length]}${index}`;
  const call = (
    promptName: string,
    variables: JsonObject,
    more: Partial<ExecuteRequest> = {},
  ): ExecuteRequest => ({
    actor: systemActor,
    promptName,
    version: 1,
    variables,
    requestId: `r${index}`,
    ...more,
  });
  const earlier: Message[] = [
    { role: 'user', content: text },
    { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'look_up', arguments: '{"name":"x"}' }] },
    { role: 'tool', content: text, toolCallId: 'c1' },
    { role: 'assistant', content: odd[(index * 7) % odd.length]! || 'x' },
  ];
  const { version: _, ...unversioned } = call('words', { text, extra: { z: index, a: [null, text] } });
  const kinds: (() => ExecuteRequest)[] = [
    () => call('words', { text }),
    () => call('words', { text, tone: text }),
    () =>
      call('lists', {
        items: Array.from({ length: index % 4 }, (_, at) => ({ name: `${text}${at}` })),
        on: index % 3 === 0,
        count: index / 7,
      }),
    () =>
      call('paths', {
        ticket: { subject: text, owner: { name: odd[index % 5]! } },
        tags: Array.from({ length: 1 + (index % 3) }, (_, at) => `${text}${at}`),
        level: index % 2,
        closed: index % 4 === 0,
      }),
    () =>
      call('loops', {
        unit: text,
        rows: Array.from({ length: index % 4 }, (_, at) => ({
          name: `${text}${at}`,
          cells: odd.slice(0, (index + at) % 4),
        })),
        marks: Object.fromEntries(odd.slice(0, index % 5).map((key, at) => [key || 'empty', at / 3])),
      }),
    () => call('turns', { text }, { messages: earlier }),
    () =>
      call(
        'turns',
        { text },
        {
          purpose: 'replay',
          overrides: { model: 'gpt-4o', parameters: { temperature: 0.7, stopSequences: [text || 'x'] } },
        },
      ),
    () =>
      call('sights', {
        text,
        photo: `data:image/png;base64,${data}`,
        ...(index % 2 ? { report: { mime_type: 'application/pdf', data, filename: 'r.pdf' } } : {}),
      }),
    () => call('sights', { text, photo: { url: 'https://example.com/a.png' } }),
    () => ({ ...unversioned, draft: parseDefinition(draft, { path: 'words.prompt' }) }),
    () => ({
      ...unversioned,
      promptName: '',
      variables: {},
      raw: true,
      messages: [
        { role: 'system', content: 'Be.' },
        { role: 'user', content: text || 'x' },
      ],
      overrides: { model: 'gpt-4o-mini', parameters: { maxOutputTokens: 5 } },
    }),
  ];
  return kinds[index % kinds.length]!();
};

describe.each(databases)('a dry run on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let store: Store;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files });
    store = await openStore({ databaseUrl: database.url });
  });
  afterAll(async () => {
    await store.close();
    await gateway.close();
    await database.drop();
  });

  it('makes the messages of each of 1,000 stored executions, by their hash', async () => {
    const snapshot = createRegistrySnapshot(store.registry, { onError: () => {} });
    await snapshot.start();
    const { values } = loadConfig({}, '.');
    const providers = createProviders(simulatedProviders(values, 'http://127.0.0.1:9'));
    const deps = { snapshot, providers, rawCalls: 'audit' as const };
    const hashes = new Map<string, string | null>();
    for (let from = 0; from < 1_000; from += 100) {
      const group = Array.from({ length: 100 }, (_, at) => {
        const request = requestAt(from + at);
        const { admission } = prepareExecution(deps, request, draftAdmission(request));
        hashes.set(admission.id, admission.renderedHash);
        return execution({ ...admission, metadata: { batch: 'dry' } });
      });
      await store.audit.settle(group);
    }
    const stored: StoredExecution[] = [];
    for (let before: string | undefined; ; before = stored.at(-1)!.id) {
      const page = await store.audit.listExecutions({}, { limit: 200, ...(before ? { before } : {}) });
      stored.push(...page);
      if (page.length < 200) break;
    }
    const replayed = stored.map((row) => {
      const { rendered, departures } = planReplay(deps, row, { actor: systemActor, requestId: 'dry' });
      return [row.id, rendered.renderedHash, departures.filter(({ part }) => part === 'messages')] as const;
    });
    expect(new Set(hashes.values()).size).toBeGreaterThan(900);
    expect(replayed).toHaveLength(1_000);
    expect(replayed.filter(([id, hash, wrong]) => hash !== hashes.get(id) || wrong.length > 0)).toEqual([]);
    await snapshot.stop();
    await providers.close();
  });
});
