/** Earlier turns as the native endpoint takes them. */
import { z } from '@hono/zod-openapi';
import { type MediaKind, readMedia } from '../domain/media.ts';
import { type Content, type ContentPart, type Message, toContent } from '../domain/message.ts';
import { reasoningSchema, toolCallSchema } from './execution-view.ts';
import { jsonObjectSchema } from './route.ts';
import { refuse, refuseMedia } from './turn-parts.ts';

const partSchema = jsonObjectSchema.openapi({
  description:
    '`{type: "text", text}`, or `{type: "image"}` or `{type: "file"}` with `url` (https), `mime_type` and `data` (base64), or `file_id`; a file may have a `filename`.',
});
const contentSchema = z.union([z.string(), z.array(partSchema).min(1).max(1_000)]);

export const messageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('user'), content: contentSchema }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.string().default(''),
    tool_calls: z.array(toolCallSchema).min(1).max(128).optional(),
    reasoning: z.array(reasoningSchema).min(1).max(128).optional(),
  }),
  z.strictObject({
    role: z.literal('tool'),
    tool_call_id: z.string().min(1).max(256),
    content: contentSchema,
  }),
]);

/** @throws PromptgateError invalid_request — with the place of a part that is none */
export function toMessage(sent: z.infer<typeof messageSchema>, index: number): Message {
  const { role } = sent;
  const content = readParts(sent.content, `messages[${index}].content`);
  if (role === 'tool') return { role, content, toolCallId: sent.tool_call_id };
  if (role === 'user') return { role, content };
  return {
    role,
    content,
    ...(sent.tool_calls ? { toolCalls: sent.tool_calls } : {}),
    ...(sent.reasoning ? { reasoning: sent.reasoning as NonNullable<Message['reasoning']> } : {}),
  };
}

function readParts(content: string | z.infer<typeof partSchema>[], path: string): Content {
  if (typeof content === 'string') return content;
  return toContent(content.map((part, index) => readPart(part, `${path}[${index}]`)));
}

function readPart({ type, ...value }: z.infer<typeof partSchema>, path: string): ContentPart {
  if (type === 'text') {
    if (typeof value.text === 'string' && Object.keys(value).length === 1) return { type, text: value.text };
    throw refuse(path, 'a part of text: `{type: "text", text}`');
  }
  if (type !== 'image' && type !== 'file') throw refuse(path, 'a part of the type text, image or file');
  const read = readMedia(value, type satisfies MediaKind);
  if ('fault' in read) throw refuseMedia(path, read.fault);
  return read.part;
}
