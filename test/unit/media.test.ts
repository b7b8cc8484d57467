import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DefinitionError, parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import {
  type MediaPart,
  mediaBytesMax,
  mimeTypesOf,
  readMedia,
  toMediaValue,
} from '../../src/domain/media.ts';
import { type ContentPart, type Message, partsOf } from '../../src/domain/message.ts';
import { readTurns } from '../../src/http/turns.ts';
import { toAnthropicContent } from '../../src/providers/anthropic-content.ts';
import { toOpenaiContent } from '../../src/providers/openai-content.ts';
import { toResponsesContent } from '../../src/providers/openai-responses-content.ts';
import { unsupportedContent } from '../../src/providers/wire.ts';

const png = 'iVBORw0KGgo=';
const image: MediaPart = { type: 'image', source: { url: 'https://a.example/b.png' } };

function define(schema: string, body: string) {
  const text = `---\nname: a\nversion: 1\nmodel: gpt-4o-mini\ninput:\n  schema: ${schema}\n---\n${body}`;
  return parseDefinition(text, { path: 'a.prompt' });
}

function issueOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof DefinitionError) return error.issues[0]?.message;
    if (error instanceof PromptgateError) return `${error.issues[0]?.path} ${error.issues[0]?.message}`;
    throw error;
  }
  return undefined;
}

const contentOf = (schema: string, body: string, variables: JsonObject) =>
  renderPrompt(define(schema, body), variables).messages.map(({ role, content }) => [role, content]);

describe('an image or a file as a value', () => {
  it.each<[Json, object]>([
    ['https://a.example/b.png?x=1', { url: 'https://a.example/b.png?x=1' }],
    [`data:image/png;base64,${png}`, { mimeType: 'image/png', data: png }],
    [{ url: `data:image/webp;base64,${png}` }, { mimeType: 'image/webp', data: png }],
    [
      { mime_type: 'image/jpeg', data: png },
      { mimeType: 'image/jpeg', data: png },
    ],
    [{ file_id: 'file-abc_1.2' }, { fileId: 'file-abc_1.2' }],
  ])('is read: %j', (value, source) => {
    expect(readMedia(value, 'image')).toEqual({ part: { type: 'image', source } });
  });

  it.each<Json>([
    ...['http://a.example/b.png', 'file:///etc/passwd', 'javascript:alert(1)', '//a.example/b.png', '', 'x'],
    ...[
      'https://user:secret@a.example/b.png',
      'https://a.example/b c.png',
      'https://',
      '\nhttps://a.example',
    ],
    ...[
      'data:image/png,abc',
      'data:image/svg+xml;base64,AAAA',
      'data:text/html;base64,AAAA',
      'data:;base64,AAAA',
    ],
    ...[
      'data:image/png;base64,',
      'data:image/png;base64,AAA',
      'data:image/png;base64,A AA',
      `https://a/${'x'.repeat(9_000)}`,
    ],
    ...[
      null,
      7,
      [],
      {},
      { url: 7 },
      { mime_type: 'image/png' },
      { mime_type: 'image/png', data: png, url: 'x' },
    ],
    ...[{ file_id: '../x' }, { file_id: '' }, { url: 'https://a.example', filename: 'x' }, { type: 'image' }],
    ...['data:audio/wav;base64,AAAA', 'data:video/mp4;base64,AAAA'],
  ])('is refused without a word of it: %j', (value) => {
    const read = readMedia(value, 'image');
    expect('fault' in read && read.fault).toMatch(/^\w/);
    if (typeof value === 'string' && value.length > 8) expect(JSON.stringify(read)).not.toContain(value);
  });

  it('is bounded', () => {
    const data = 'A'.repeat(Math.ceil(mediaBytesMax / 3) * 4 + 4);
    expect(readMedia({ mime_type: 'image/png', data }, 'image')).toMatchObject({
      fault: 'is larger than 20 MiB',
    });
  });

  it('has a filename only as a file, and never one with control characters', () => {
    const value = (filename: string) => ({ file_id: 'a', filename });
    expect(readMedia(value('r.pdf'), 'file')).toMatchObject({ part: { filename: 'r.pdf' } });
    expect(readMedia(value('a\r\nb'), 'file')).toMatchObject({ fault: expect.any(String) });
  });
});

describe('an image or a file in a definition', () => {
  it('is one part where the template placed it, white space of the template around it removed', () => {
    const body =
      '{{role "system"}}\nLook.\n{{role "user"}}\nThis is it:\n{{media url=photo}}\nAnswer {{name}}.\n';
    expect(
      contentOf('{ photo: image, name: string }', body, { photo: 'https://a.example/b.png', name: 'Ada' }),
    ).toEqual([
      ['system', 'Look.'],
      ['user', [{ type: 'text', text: 'This is it:' }, image, { type: 'text', text: 'Answer Ada.' }]],
    ]);
  });

  it('may be left out, be one of many, and be a member', () => {
    const schema = '{ photos(array): image, more?: { report: file } }';
    const body = 'See{{#each photos}}{{media url=this}}{{/each}}{{#if more}}{{media url=more.report}}{{/if}}';
    const report = { type: 'file', source: { fileId: 'f' }, filename: 'r.pdf' };
    const photo = 'https://a.example/b.png';
    const see = { type: 'text', text: 'See' };
    expect(contentOf(schema, body, { photos: [] })).toEqual([['user', 'See']]);
    expect(contentOf(schema, body, { photos: [photo, photo] })).toEqual([['user', [see, image, image]]]);
    expect(
      contentOf(schema, body, { photos: [photo], more: { report: { file_id: 'f', filename: 'r.pdf' } } }),
    ).toEqual([['user', [see, image, report]]]);
  });

  it('is the same in JSON Schema, by the keyword `media`', () => {
    const body = '{{media url=photo}}';
    const written = '{ type: object, required: [photo], properties: { photo: { media: image } } }';
    expect(contentOf(written, body, { photo: 'https://a.example/b.png' })).toEqual([['user', [image]]]);
    expect(issueOf(() => renderPrompt(define(written, body), { photo: null }))).toContain(
      'variables.photo expected an image',
    );
    expect(
      issueOf(() => define('{ type: object, properties: { photo: { media: audio } } }', body)),
    ).toContain('not valid JSON Schema');
  });

  it.each<[string, Json, string]>([
    ['image', 'http://a.example/b.png', 'variables.x is no address of an image'],
    ['image', 7, 'variables.x expected an image, got number'],
    ['image', { mime_type: 'application/pdf', data: png }, 'variables.x has a mime type that is not taken'],
    ['file', { mime_type: 'image/png', data: png }, 'variables.x has a mime type that is not taken'],
    ['file', undefined as never, 'variables.x is missing'],
  ])('of the type %s is not %j', (type, value, refusal) => {
    const definition = define(`{ x: ${type} }`, '{{media url=x}}');
    expect(issueOf(() => renderPrompt(definition, value === undefined ? {} : { x: value }))).toContain(
      refusal,
    );
  });

  it.each([
    ['{ photo: image }', '{{photo}}', '`photo` is an image: write {{media url=photo}}.'],
    ['{ photo: image }', '{{json photo}}', 'An image or a file is no text: write {{media url=name}}.'],
    ['{ photo: image }', '{{#each photo}}x{{/each}}', '{{#each}} takes a list or an object.'],
    ['{ photo: image }', '{{photo.url}}', '`photo.url` is not declared. Declare it in input.schema.'],
    [
      '{ photo: string }',
      '{{media url=photo}}',
      '{{media}} takes a variable of the type `image` or `file`: declare it so.',
    ],
    [
      '{ photo: any }',
      '{{media url=photo}}',
      '{{media}} takes a variable of the type `image` or `file`: declare it so.',
    ],
    [
      '{ photo: image }',
      '{{media photo}}',
      'Write {{media url=name}}: the value itself says what it is, and the schema what it has to be.',
    ],
    [
      '{ photo: image }',
      '{{media url="https://a.example"}}',
      'A constant is not supported here: name a variable.',
    ],
    [
      '{ photo: image }',
      '{{role "system"}}{{#if photo}}{{media url=photo}}{{/if}}{{role "user"}}x',
      'Images and files stand in a message of the user: write {{role "user"}} before it.',
    ],
    [
      '{ photo: image }',
      'x{{role "model"}}{{media url=photo}}',
      'Images and files stand in a message of the user: write {{role "user"}} before it.',
    ],
  ])('%s is refused in %s', (schema, body, refusal) => {
    expect(issueOf(() => define(schema, body))).toBe(refusal);
  });

  it('is no type of an output or of a tool', () => {
    const text = (more: string) => `---\nname: a\nversion: 1\nmodel: m\n${more}\n---\nx`;
    const parse = (more: string) => issueOf(() => parseDefinition(text(more), { path: 'a.prompt' }));
    const refusal = 'There is no type `image`. Only what a caller sends holds images and files.';
    expect(parse('output: { schema: { a: image } }')).toBe(refusal);
    expect(parse('tools: { t: { input: { a: image } } }')).toBe(refusal);
    expect(parse('output: { schema: { type: object, properties: { a: { media: image } } } }')).toContain(
      'media',
    );
  });

  it('changes neither roles nor the number of messages nor any other part, whatever its value is', () => {
    const definition = define('{ photo: any, text: string }', '{{role "system"}}S\n{{role "user"}}A{{text}}');
    const typed = define(
      '{ photo: image, text: string }',
      '{{role "system"}}S\n{{role "user"}}A{{text}}{{media url=photo}}',
    );
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.webUrl({ validSchemes: ['https'] })),
        fc.string({ unit: 'grapheme' }),
        (photo, text) => {
          if (text.includes('\0') || !text.isWellFormed()) return;
          const variables = { photo: photo as Json, text };
          if (issueOf(() => renderPrompt(typed, variables)) !== undefined) return;
          const [system, user] = renderPrompt(typed, variables).messages;
          const [, plain] = renderPrompt(definition, { photo: null, text }).messages;
          expect(system?.content).toBe('S');
          expect(partsOf(user?.content ?? '').slice(0, -1)).toEqual([{ type: 'text', text: plain?.content }]);
        },
      ),
    );
  });

  it('leaves the hash and the checksum of what is text alone as they were', () => {
    const definition = define('{ text: string }', '{{role "system"}}\nBe brief.\n{{role "user"}}\n{{text}}');
    expect(definition.checksum).toBe('f3f1c454077b7a8b43f0d0600d89c47b6ffbbceaf865041f98909ca69af1fc00');
    expect(renderPrompt(definition, { text: 'Hello' }).renderedHash).toBe(
      '82952d147b7d1a93a97f407e18dbe8a7d2bdebb198575e542554656245f12eb7',
    );
  });
});

const base64 = fc
  .uint8Array({ minLength: 1, maxLength: 30 })
  .map((bytes) => Buffer.from(bytes).toString('base64'));
const utf8 = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .map((text) => Buffer.from(text).toString('base64'));
const url = fc.webUrl({ validSchemes: ['https'], withQueryParameters: true }).map((url) => ({ url }));
const fileId = fc.stringMatching(/^[\w.-]{1,40}$/).map((id) => ({ fileId: id }));
const imageData = fc.record({ mimeType: fc.constantFrom(...mimeTypesOf('image')), data: base64 });
const pdf = fc.record({ mimeType: fc.constant('application/pdf'), data: base64 });
const textFile = fc.record({ mimeType: fc.constant('text/plain'), data: utf8 });
const filename = fc.stringMatching(/^[a-z]{1,10}\.pdf$/);
const images = (...sources: fc.Arbitrary<MediaPart['source']>[]) =>
  fc.record({ type: fc.constant('image' as const), source: fc.oneof(...sources) });
const files = (...sources: fc.Arbitrary<MediaPart['source']>[]) =>
  fc.record({ type: fc.constant('file' as const), source: fc.oneof(...sources), filename });
/** Without a name, where the wire has none for a file of this kind. */
const nameless = (source: fc.Arbitrary<MediaPart['source']>) =>
  fc.record({ type: fc.constant('file' as const), source });
const texts = fc.string({ minLength: 1 }).map((text) => ({ type: 'text' as const, text }));
const content = (...media: fc.Arbitrary<MediaPart>[]) =>
  fc
    .tuple(
      fc.array(fc.oneof(texts, ...media), { maxLength: 5 }),
      fc.oneof(...media),
      fc.array(fc.oneof(texts, ...media), { maxLength: 3 }),
    )
    .map(([before, one, after]): readonly ContentPart[] => [...before, one, ...after]);

describe('the content of a message', () => {
  const wires = [
    ['openai', toOpenaiContent, content(images(url, imageData), files(pdf, textFile), nameless(fileId))],
    [
      'openai-responses',
      toResponsesContent,
      content(images(url, imageData, fileId), files(pdf, textFile), nameless(fileId), nameless(url)),
    ],
    [
      'anthropic',
      toAnthropicContent,
      content(images(url, imageData, fileId), files(pdf, textFile, url, fileId)),
    ],
  ] as const;

  it.each(wires)(
    'goes to the wire %s and comes back from its dialect as it was',
    (wire, toWire, anyContent) => {
      fc.assert(
        fc.property(anyContent, (parts) => {
          const message: Message = { role: 'user', content: parts };
          expect(unsupportedContent(wire, [message])).toEqual([]);
          expect(readTurns([{ role: 'user', content: toWire(parts) }], 'messages')).toEqual([message]);
        }),
      );
    },
  );

  it('is on its way to any wire a value that a caller could send', () => {
    fc.assert(
      fc.property(fc.oneof(images(url, imageData, fileId), files(url, pdf, textFile, fileId)), (part) => {
        expect(readMedia(toMediaValue(part), part.type)).toEqual({ part });
      }),
    );
  });

  const file = (source: MediaPart['source']): Message => ({
    role: 'user',
    content: [{ type: 'file', source }],
  });
  const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
  it.each<['openai' | 'openai-responses' | 'anthropic', Message, string[]]>([
    ['openai', file({ url: 'https://a.example/r.pdf' }), ['a file by its address']],
    [
      'openai',
      { role: 'user', content: [{ type: 'image', source: { fileId: 'f' } }] },
      ['an image by its file_id'],
    ],
    [
      'openai',
      { role: 'tool', toolCallId: 'a', content: [image] },
      ['an image or file in the result of a tool'],
    ],
    ['anthropic', file({ mimeType: word, data: png }), [`a file of the type ${word}`]],
    ['anthropic', file({ mimeType: 'text/plain', data: '/w==' }), ['a text file that is not UTF-8']],
    ['anthropic', { role: 'tool', toolCallId: 'a', content: [image] }, []],
    ['openai-responses', { role: 'tool', toolCallId: 'a', content: [image] }, []],
  ])('that the wire %s cannot carry is named (%#)', (wire, message, problems) => {
    expect(unsupportedContent(wire, [message])).toEqual(problems);
  });

  const said = (part: object) => readTurns([{ role: 'user', content: [part] }], 'messages');
  it.each<[object, string]>([
    [
      { type: 'input_audio', input_audio: { data: 'x', format: 'wav' } },
      'audio, video and other content is not taken',
    ],
    [
      { type: 'video_url', video_url: { url: 'https://a.example' } },
      'audio, video and other content is not taken',
    ],
    [{ type: 'image_url', image_url: { url: 'http://a.example' } }, 'is no address of an image'],
    [{ type: 'image_url', image_url: { url: 'https://a.example', detail: 'high' } }, 'no `detail`'],
    [{ type: 'input_image', detail: 'auto' }, 'is not an image'],
    [{ type: 'input_file', file_data: 'AAAA', filename: 'x.pdf' }, 'file_data as a data URL'],
    [
      { type: 'file', file: { file_data: 'data:audio/wav;base64,AAAA' } },
      'has a mime type that is not taken',
    ],
    [{ type: 'image', source: { type: 'base64', media_type: 'image/bmp', data: 'AAAA' } }, 'has a mime type'],
    [{ type: 'document', source: { type: 'content', content: 'x' } }, 'a part of text, an image or a file'],
    [
      { type: 'document', citations: { enabled: true }, source: { type: 'file', file_id: 'f' } },
      'without citations',
    ],
  ])('is refused by its place: %j', (part, refusal) => {
    expect(() => said(part)).toThrow(refusal);
    expect(() => said(part)).toThrow('messages[0].content[0]');
  });
});
