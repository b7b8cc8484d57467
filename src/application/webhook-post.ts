/** What a receiver of the operator's is told. `id` is the same however often it is posted: receivers tell by it. */
export interface WebhookEvent {
  readonly id: string;
  readonly type: string;
  readonly timestamp: Date;
  readonly data: unknown;
}

/** Port to that receiver, for whoever has to know whether an event was taken. */
export interface WebhookPost {
  /** Once, without repeating. @returns why it was not taken; null: it was */
  tryPost(event: WebhookEvent): Promise<string | null>;
}

/** Port to the record of what was taken. */
export interface WebhookStore {
  recordTaken(eventId: string): Promise<void>;
}
