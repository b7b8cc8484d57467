/**
 * Images and files as values: what a caller may send for one, and the part of a message that it becomes. The gateway
 * fetches nothing and looks into nothing: an address is the provider's to open.
 */
import type { Json, JsonObject } from './json.ts';
import { jsonKind } from './json-path.ts';

export type MediaKind = 'image' | 'file';

export type MediaSource =
  /** An https address that the provider fetches. */
  | { readonly url: string }
  /** Base64, with padding. */
  | { readonly mimeType: string; readonly data: string }
  /** An id that the provider gave out for an upload of its own. */
  | { readonly fileId: string };

export interface MediaPart {
  readonly type: MediaKind;
  readonly source: MediaSource;
  /** Of a file, when its sender named it. */
  readonly filename?: string;
}

/** Every wire takes these images. */
const imageTypes = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];
const officeType = 'application/vnd.openxmlformats-officedocument';
/** Files by their mime type, with the end of a name for one that has none. */
const fileTypes: Readonly<Record<string, string>> = {
  'application/pdf': '.pdf',
  'application/json': '.json',
  'text/plain': '.txt',
  'text/markdown': '.md',
  'text/csv': '.csv',
  'text/html': '.html',
  [`${officeType}.wordprocessingml.document`]: '.docx',
  [`${officeType}.spreadsheetml.sheet`]: '.xlsx',
  [`${officeType}.presentationml.presentation`]: '.pptx',
};

/** Of the bytes, not of their base64. What a request may be at all is usually less: PROMPTGATE_MAX_BODY_BYTES. */
export const mediaBytesMax = 20 * 1_048_576;
const urlLengthMax = 8_192;

/** Names of the mime types that a kind may have. */
export function mimeTypesOf(kind: MediaKind): readonly string[] {
  return kind === 'image' ? imageTypes : Object.keys(fileTypes);
}

export type MediaResult = { readonly part: MediaPart } | { readonly fault: string };

/**
 * A value as an image or file: an https address or data URL as text, or one of the objects `{url}`,
 * `{mime_type, data}` and `{file_id}`, of a file each with `filename` where it has one.
 * @returns the part, or what is wrong as a sentence that holds nothing of the value
 */
export function readMedia(value: Json | undefined, kind: MediaKind): MediaResult {
  if (typeof value === 'string') return withSource(readAddress(value, kind), kind);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { fault: `expected ${aKind(kind)}, got ${jsonKind(value)}: ${forms}` };
  }
  const { filename, ...source } = value;
  if (filename !== undefined && (kind !== 'file' || !isName(filename))) {
    return { fault: 'takes a filename of a file only, of 1 to 255 characters without control characters' };
  }
  return withSource(readObject(source, kind), kind, filename);
}

const forms = 'send an https address, a data URL, {mime_type, data} or {file_id}';

function aKind(kind: MediaKind): string {
  return kind === 'image' ? 'an image' : 'a file';
}

type SourceResult = { readonly source: MediaSource } | { readonly fault: string };

function withSource(read: SourceResult, kind: MediaKind, filename?: string): MediaResult {
  if ('fault' in read) return read;
  return { part: { type: kind, source: read.source, ...(filename === undefined ? {} : { filename }) } };
}

function isName(value: Json): value is string {
  return typeof value === 'string' && /^[^\p{Cc}\p{Cs}]{1,255}$/u.test(value);
}

function readObject(value: JsonObject, kind: MediaKind): SourceResult {
  const keys = Object.keys(value).sort().join();
  const { url, mime_type, data, file_id } = value;
  if (keys === 'url' && typeof url === 'string') return readAddress(url, kind);
  if (keys === 'data,mime_type' && typeof mime_type === 'string' && typeof data === 'string') {
    return readData(mime_type, data, kind);
  }
  if (keys === 'file_id' && typeof file_id === 'string') {
    if (/^[\w.-]{1,256}$/.test(file_id)) return { source: { fileId: file_id } };
    return { fault: 'has a file_id that is none: letters, digits, `_`, `-` and `.`, at most 256' };
  }
  return { fault: `is not ${aKind(kind)}: ${forms}` };
}

function readAddress(address: string, kind: MediaKind): SourceResult {
  const head = /^data:([^,;]*)(;base64)?,/i.exec(address.slice(0, 300));
  if (head) {
    if (head[2] === undefined) return { fault: 'is a data URL that is not base64' };
    return readData(head[1]!.toLowerCase(), address.slice(head[0].length), kind);
  }
  const url = address.length <= urlLengthMax && /^https:\/\//i.test(address) ? URL.parse(address) : null;
  if (url === null || url.username !== '' || url.password !== '' || /[\s\p{Cc}]/u.test(address)) {
    const shape = 'starts with https://, holds no password and is at most 8192 characters long';
    return { fault: `is no address of ${aKind(kind)}: it ${shape}; or send a data URL` };
  }
  return { source: { url: address } };
}

function readData(mimeType: string, data: string, kind: MediaKind): SourceResult {
  const types = mimeTypesOf(kind);
  if (!types.includes(mimeType)) {
    return { fault: `has a mime type that is not taken; of ${aKind(kind)}: ${types.join(', ')}` };
  }
  if (data.length > Math.ceil(mediaBytesMax / 3) * 4) {
    return { fault: `is larger than ${mediaBytesMax / 1_048_576} MiB` };
  }
  if (data === '' || data.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(data)) {
    return { fault: 'holds data that is not base64' };
  }
  return { source: { mimeType, data } };
}

/** The object that a caller would send for it: `readMedia` of the kind makes the same part of it. */
export function toMediaValue({ source, filename }: MediaPart): JsonObject {
  const named = filename === undefined ? {} : { filename };
  if ('url' in source) return { url: source.url, ...named };
  if ('fileId' in source) return { file_id: source.fileId, ...named };
  return { mime_type: source.mimeType, data: source.data, ...named };
}

/** A name for a file on wires that demand one. */
export function nameOf({ source, filename }: MediaPart): string {
  if (filename !== undefined) return filename;
  return `file${'mimeType' in source ? (fileTypes[source.mimeType] ?? '') : ''}`;
}

export function toDataUrl({ mimeType, data }: { mimeType: string; data: string }): string {
  return `data:${mimeType};base64,${data}`;
}
