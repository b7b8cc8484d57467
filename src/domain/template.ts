/**
 * The compiled form of a template. It is canonical: two templates that send the same for every input mostly have the
 * same form, and two that differ never do. The checksum of a version is taken over it, the renderer runs it.
 */
import type { MediaKind } from './media.ts';
import type { Role } from './message.ts';

/**
 * One form renders to one request under one number. A change of the renderer that changes what is sent raises it, with a
 * migration that adds it to `renderer_versions`: what was evaluated before is then evidence no more.
 */
export const rendererVersion = 1;

/** A value that the template names. Loop 0 is the variables themselves, loop n the item of the nth enclosing loop. */
export interface ValueOperand {
  readonly loop: number;
  readonly parts: readonly string[];
}

/** What a loop knows about its current item. */
export interface LoopOperand {
  readonly loop: number;
  readonly data: 'index' | 'first' | 'last' | 'key';
}

export type Operand = ValueOperand | LoopOperand;

/** Text is a plain string; neighbouring texts are one. `unless` is an `if` with its branches exchanged. */
export type TemplateNode =
  | string
  | { readonly value: Operand }
  | { readonly json: Operand; readonly indent: number }
  /** An image or a file: one part of the message, of the kind that the input schema says. */
  | { readonly media: ValueOperand; readonly kind: MediaKind }
  | { readonly if: Operand; readonly yes: readonly TemplateNode[]; readonly no: readonly TemplateNode[] }
  | {
      readonly each: ValueOperand;
      readonly body: readonly TemplateNode[];
      /** Instead of the body when there is nothing to iterate over. */
      readonly none: readonly TemplateNode[];
    };

export interface TemplateMessage {
  readonly role: Role;
  readonly nodes: readonly TemplateNode[];
}

/** Messages in order, with at most one place for the caller's own. */
export type TemplateForm = readonly (TemplateMessage | { readonly history: true })[];

/** A message as its author wrote it, constructs included. */
export interface WrittenMessage {
  readonly role: Role | 'history';
  readonly template: string;
}
