/** What a turn says, in parts, whichever API's: text, images, files and reasoning. Anything else is refused by its place. */
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { type MediaKind, type MediaPart, readMedia } from '../domain/media.ts';
import { type Content, type ContentPart, toContent } from '../domain/message.ts';
import { type ReasoningBlock, unpackProof } from '../domain/reasoning.ts';

/** @throws PromptgateError invalid_request */
export function readContent(content: unknown, path: string): Content {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw refuse(path, 'a text or a list of parts');
  return toContent(content.map((part, index) => readPart(part, `${path}[${index}]`)));
}

const textTypes = ['text', 'input_text', 'output_text', 'refusal'];

function readPart(part: unknown, path: string): ContentPart {
  if (!isObject(part)) throw refuse(path, 'a part with a type');
  const type = String(part.type);
  if (textTypes.includes(type)) {
    const text = type === 'refusal' ? part.refusal : part.text;
    if (typeof text !== 'string') throw refuse(path, 'a part of text that holds a text');
    return { type: 'text', text };
  }
  const media = readMediaPart(part, path);
  if (media) return media;
  throw refuse(path, 'a part of text, an image or a file; audio, video and other content is not taken');
}

/** An image or a file in the shape of either of OpenAI's APIs or of Anthropic's; undefined when it is neither. */
export function readMediaPart(part: Record<string, unknown>, path: string): MediaPart | undefined {
  switch (part.type) {
    case 'image_url': {
      const image = isObject(part.image_url) ? part.image_url : { url: part.image_url };
      refuseDetail(image.detail, path);
      return toPart('image', { url: image.url }, path);
    }
    case 'file':
      return isObject(part.file) ? readFile(part.file, path) : undefined;
    case 'input_image': {
      refuseDetail(part.detail, path);
      const { image_url: url, file_id } = part;
      return toPart('image', present({ url, file_id }), path);
    }
    case 'input_file':
      return readFile(part, path);
    case 'image':
    case 'document':
      return isObject(part.source) ? readSource(part, part.source, path) : undefined;
    default:
      return undefined;
  }
}

function readFile({ file_data, file_url, file_id, filename }: Record<string, unknown>, path: string) {
  if (file_data && !/^data:/i.test(String(file_data))) {
    throw refuse(path, 'file_data as a data URL, which says its mime type');
  }
  return toPart('file', present({ url: file_data ?? file_url, file_id, filename }), path);
}

/** Of Anthropic. A document may be text as it is. */
function readSource(
  part: Record<string, unknown>,
  source: Record<string, unknown>,
  path: string,
): MediaPart | undefined {
  const kind = part.type === 'image' ? 'image' : 'file';
  if (isObject(part.citations) && part.citations.enabled === true) {
    throw refuse(path, 'a document without citations: they are not taken');
  }
  if (part.context) throw refuse(path, 'a document without context: say it in a part of text');
  const named = kind === 'file' ? { filename: part.title } : {};
  const { type, url, file_id, media_type: mime_type, data } = source;
  switch (type) {
    case 'url':
      return toPart(kind, present({ url, ...named }), path);
    case 'file':
      return toPart(kind, present({ file_id, ...named }), path);
    case 'base64':
      return toPart(kind, present({ mime_type, data, ...named }), path);
    case 'text': {
      const encoded = Buffer.from(typeof data === 'string' ? data : '').toString('base64');
      return toPart(kind, present({ mime_type, data: encoded, ...named }), path);
    }
    default:
      return undefined;
  }
}

/** Clients send null for what they do not mean. */
function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined && value !== null),
  );
}

function toPart(kind: MediaKind, value: Record<string, unknown>, path: string): MediaPart {
  const read = readMedia(value as JsonObject, kind);
  if ('fault' in read) throw refuseMedia(path, read.fault);
  return read.part;
}

export function refuseMedia(path: string, fault: string): PromptgateError {
  return new PromptgateError('invalid_request', `${path}: ${fault}.`, { issues: [{ path, message: fault }] });
}

/** It decides about quality and price, and those are not the caller's to decide. */
function refuseDetail(detail: unknown, path: string): void {
  if (detail === undefined || detail === null || detail === 'auto') return;
  throw refuse(path, 'no `detail`: images are sent with `auto`');
}

/** A thought in the shape of Anthropic's API; undefined when it is none. */
export function readThinking(part: unknown): ReasoningBlock | undefined {
  if (!isObject(part)) return undefined;
  const { type, thinking, signature, data } = part;
  if (type === 'redacted_thinking' && typeof data === 'string') {
    return { text: '', ...(unpackProof(data) ?? { encrypted: data }) };
  }
  if (type !== 'thinking' || typeof thinking !== 'string') return undefined;
  if (typeof signature !== 'string' || signature === '') return { text: thinking };
  return { text: thinking, ...(unpackProof(signature) ?? { signature }) };
}

/** A thought in the shape of OpenAI's Responses API. */
export function readReasoningItem(item: Record<string, unknown>): ReasoningBlock {
  const parts = [item.summary, item.content].flatMap((list) => (Array.isArray(list) ? list : []));
  const texts = parts.flatMap((part) => (isObject(part) && typeof part.text === 'string' ? part.text : []));
  const { encrypted_content: encrypted, id } = item;
  const text = texts.join('\n\n');
  if (typeof encrypted !== 'string') return { text };
  return { text, ...(unpackProof(encrypted) ?? { encrypted, ...(typeof id === 'string' ? { id } : {}) }) };
}

export function refuse(path: string, expected: string): PromptgateError {
  const message = `expected ${expected}`;
  return new PromptgateError('invalid_request', `${path}: ${message}.`, { issues: [{ path, message }] });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
