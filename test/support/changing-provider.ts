/**
 * A provider on OpenAI's wire that changes its answers at a moment that the test chooses, in the way that the prompt asks
 * for: the user message is `<change> <input>`. Prices are the gateway's, so that change is not among them.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export async function startChangingProvider() {
  let changed = false;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { model, messages } = JSON.parse(body);
    const [, change, input] = /^(.*) (\d+)$/s.exec(messages.at(-1).content)!;
    const is = (kind: string) => changed && change === kind;
    const words = 20 + (Number(input) % 12);
    const text = is('refusals')
      ? "I'm sorry, but I can't help with that."
      : change === 'JSON shape'
        ? JSON.stringify({ [is('JSON shape') ? 'heading' : 'title']: 'word '.repeat(words) })
        : `${is('wording') ? 'Text' : 'Word'} ${input} ${'word '.repeat(is('length') ? 2 * words : words)}`;
    if (is('latency')) await delay(800);
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 0, system_fingerprint: 'fp_1' },
        model: is('model name') ? `${model}-2026-11-18` : `${model}-2024-07-18`,
        choices: [
          { index: 0, message: { role: 'assistant', content: text, refusal: null }, finish_reason: 'stop' },
        ],
        usage: { prompt_tokens: 20, completion_tokens: words, total_tokens: 20 + words },
      }),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    change() {
      changed = true;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
