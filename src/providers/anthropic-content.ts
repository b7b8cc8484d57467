/** The neutral content of a message on Anthropic's Messages wire. */
import type { Json, JsonObject } from '../domain/json.ts';
import type { MediaPart } from '../domain/media.ts';
import { type Content, type Message, partsOf } from '../domain/message.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';

export function toAnthropicContent(content: Content): string | Json[] {
  return typeof content === 'string' ? content : toAnthropicBlocks(content);
}

export function toAnthropicBlocks(content: Content): Json[] {
  return partsOf(content).map((part) =>
    part.type === 'text' ? { type: 'text', text: part.text } : toBlock(part),
  );
}

function toBlock({ type, source, filename }: MediaPart): JsonObject {
  if (type === 'image') return { type, source: toSource(source) };
  return {
    type: 'document',
    source: toSource(source),
    ...(filename === undefined ? {} : { title: filename }),
  };
}

function toSource(source: MediaPart['source']): JsonObject {
  if ('url' in source) return { type: 'url', url: source.url };
  if ('fileId' in source) return { type: 'file', file_id: source.fileId };
  const { mimeType, data } = source;
  if (!isText(mimeType)) return { type: 'base64', media_type: mimeType, data };
  return { type: 'text', media_type: 'text/plain', data: readUtf8(data) ?? '' };
}

/** The wire knows PDF and text; whatever is text is sent as that. */
function isText(mimeType: string): boolean {
  return mimeType.startsWith('text/') || mimeType === 'application/json';
}

function readUtf8(data: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(data, 'base64'));
  } catch {
    return undefined;
  }
}

/** Only what Anthropic itself has written goes back to it: anything else it refuses. */
export function toThinking(reasoning: readonly ReasoningBlock[]): Json[] {
  return reasoning.flatMap(({ text, signature, encrypted, id }): Json[] => {
    if (signature !== undefined) return [{ type: 'thinking', thinking: text, signature }];
    const isRedacted = encrypted !== undefined && id === undefined && text === '';
    return isRedacted ? [{ type: 'redacted_thinking', data: encrypted }] : [];
  });
}

/** What of a message this wire has no place for, as `a …`. */
export function anthropicContentProblems({ content }: Message): string[] {
  return partsOf(content).flatMap((part) => {
    if (part.type !== 'file' || !('data' in part.source)) return [];
    const { mimeType, data } = part.source;
    if (isText(mimeType)) return readUtf8(data) === undefined ? ['a text file that is not UTF-8'] : [];
    return mimeType === 'application/pdf' ? [] : [`a file of the type ${mimeType}`];
  });
}
