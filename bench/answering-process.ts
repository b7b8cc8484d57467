/**
 * A provider on OpenAI's wire that costs next to nothing: one answer, prepared, after a pause that it is told over its
 * channel (`{ pauseMs }`). It counts what it was asked.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const answer = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_795_000_000,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'Prompts are code, and so they have versions. '.repeat(5),
        refusal: null,
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: {
    prompt_tokens: 130,
    completion_tokens: 50,
    total_tokens: 180,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  },
  service_tier: 'default',
  system_fingerprint: 'fp_bench',
});
const headers = {
  'content-type': 'application/json',
  'content-length': Buffer.byteLength(answer),
  'x-request-id': 'req_bench',
};

let pauseMs = 0;
let asked = 0;

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    asked += 1;
    const say = () => response.writeHead(200, headers).end(answer);
    if (pauseMs > 0) setTimeout(say, pauseMs);
    else say();
  });
});
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on('message', (told: { pauseMs?: number }) => {
  pauseMs = told.pauseMs ?? pauseMs;
  process.send?.({ asked });
});
process.on('disconnect', () => process.exit(0));
