import { toWritableText } from '../domain/writable-text.ts';

/** Providers echo parts of keys in their messages; nothing key-like may reach a client or the audit table. */
const keyLike = [
  /\bBearer\s+\S+/gi,
  /\b(?:sk|pk|rk|gsk|xai|sess|org|proj|key|pg)[-_][\w*.-]{4,}/gi,
  /\bAIza[\w-]{10,}/g,
  /\b(?:x-)?api[-_ ]?key\s*[:=]\s*\S+/gi,
  // A masked key: letters around a run of stars.
  /[\w-]*\*{3,}[\w-]*/g,
  /\b\w+:\/\/[^\s/@]+@/g,
];

const lengthMax = 500;
const mark = '[redacted]';

/**
 * @param secrets values that must not appear in any case; those under 8 characters are placeholders such as `none`
 * @returns one line of at most 500 characters
 */
export function redact(message: string, secrets: readonly string[]): string {
  let text = message;
  for (const secret of secrets) if (secret.length >= 8) text = text.replaceAll(secret, mark);
  for (const pattern of keyLike) text = text.replace(pattern, mark);
  text = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  // Writable at the end: the cut may halve a surrogate pair.
  return toWritableText(text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text).text;
}
