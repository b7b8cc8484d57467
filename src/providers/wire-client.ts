/** A client of one provider out of the converters of its wire: what is the same on every wire is here. */
import type { ProviderCall, ProviderSettings } from '../application/provider.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Post } from './sdk-post.ts';
import { type StreamAssembler, streamExchange } from './stream.ts';
import { exchange, type ReadAnswer, type WireClient } from './wire.ts';

export interface WireConverters {
  readonly send: Post;
  readonly toRequest: (call: ProviderCall) => JsonObject;
  /** What a request adds to be answered as a stream. */
  readonly streamed: JsonObject;
  readonly assemble: () => StreamAssembler;
  readonly read: ReadAnswer;
}

export function createWireClient(settings: ProviderSettings, wire: WireConverters): WireClient {
  const askedBy = ({ route }: ProviderCall) => ({
    provider: settings.name,
    model: route.model,
    apiKey: settings.apiKey,
  });
  return {
    request(call, signal) {
      const body = wire.toRequest(call);
      return exchange(askedBy(call), signal, () => wire.send(body, signal), wire.read);
    },
    stream(call, signal, options) {
      let body: JsonObject | undefined = { ...wire.toRequest(call), ...wire.streamed };
      const send = (within: AbortSignal) => {
        const sent = wire.send(body!, within);
        // Sent once; its answer streams for longer than anyone needs it.
        body = undefined;
        return sent;
      };
      const assembler = wire.assemble();
      return streamExchange({ asked: askedBy(call), signal, send, assembler, read: wire.read, ...options });
    },
  };
}
