/** The neutral content of a message on OpenAI's Chat Completions wire. */
import type { Json, JsonObject } from '../domain/json.ts';
import { type MediaPart, nameOf, toDataUrl } from '../domain/media.ts';
import { type Content, type Message, partsOf } from '../domain/message.ts';

/** Text alone is sent as text: many compatible servers know nothing else. */
export function toOpenaiContent(content: Content): Json {
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? { type: 'text', text: part.text } : toPart(part)));
}

function toPart(part: MediaPart): JsonObject {
  const { type, source } = part;
  if (type === 'image') return { type: 'image_url', image_url: { url: toUrl(part) } };
  if ('fileId' in source) return { type: 'file', file: { file_id: source.fileId } };
  return { type: 'file', file: { filename: nameOf(part), file_data: toUrl(part) } };
}

function toUrl({ source }: MediaPart): string {
  if ('url' in source) return source.url;
  return 'data' in source ? toDataUrl(source) : '';
}

/** What of a message this wire has no place for, as `a …`. */
export function openaiContentProblems({ role, content }: Message): string[] {
  return partsOf(content).flatMap((part) => {
    if (part.type === 'text') return [];
    if (role === 'tool') return ['an image or file in the result of a tool'];
    if (part.type === 'image') return 'fileId' in part.source ? ['an image by its file_id'] : [];
    return 'url' in part.source ? ['a file by its address'] : [];
  });
}
