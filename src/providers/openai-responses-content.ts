/** The neutral content of a message on OpenAI's Responses wire, which has a place for every kind of source. */
import type { Json, JsonObject } from '../domain/json.ts';
import { type MediaPart, nameOf, toDataUrl } from '../domain/media.ts';
import type { Content } from '../domain/message.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';

export function toResponsesContent(content: Content): Json {
  if (typeof content === 'string') return content;
  return content.map((part) =>
    part.type === 'text' ? { type: 'input_text', text: part.text } : toPart(part),
  );
}

function toPart(part: MediaPart): JsonObject {
  const { type, source } = part;
  const image = type === 'image';
  // The detail is demanded; `auto` is what its absence means on the other wire.
  const head: JsonObject = image ? { type: 'input_image', detail: 'auto' } : { type: 'input_file' };
  if ('fileId' in source) return { ...head, file_id: source.fileId };
  if ('url' in source) return { ...head, [image ? 'image_url' : 'file_url']: source.url };
  const data = toDataUrl(source);
  return image ? { ...head, image_url: data } : { ...head, filename: nameOf(part), file_data: data };
}

/** Only what this wire itself has written goes back to it; what it can read of others would be no proof of anything. */
export function toReasoningItems(reasoning: readonly ReasoningBlock[]): JsonObject[] {
  return reasoning.flatMap(({ text, encrypted, id }) => {
    if (encrypted === undefined || id === undefined) return [];
    const summary = text === '' ? [] : [{ type: 'summary_text', text }];
    return [{ type: 'reasoning', id, summary, encrypted_content: encrypted }];
  });
}
