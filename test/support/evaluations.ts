/** Suites and a provider whose answers a test decides: what evaluations are tried with. */

import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ScriptedProvider {
  /** What makes a gateway use it, at a price of 1 dollar for a million tokens in and 10 for a million out. */
  readonly environment: Record<string, string>;
  /** Texts of the last messages that were sent, in order of arrival. */
  readonly asked: string[];
  close(): Promise<void>;
}

export interface ScriptedAnswer {
  readonly text?: string;
  readonly status?: number;
  /** Answer only after this. */
  readonly after?: Promise<unknown>;
}

/** Speaks OpenAI's Chat Completions; every answer costs 100 tokens in and 50 out. */
export async function startScriptedProvider(
  answer: (asked: string, number: number) => ScriptedAnswer,
): Promise<ScriptedProvider> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { messages, model } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const text = String(messages.at(-1).content);
    asked.push(text);
    const said = answer(text, asked.length);
    await said.after;
    response.setHeader('content-type', 'application/json');
    if (said.status) {
      response.writeHead(said.status).end('{"error":{"message":"As told.","type":"requests"}}');
      return;
    }
    response.end(
      JSON.stringify({
        id: `chatcmpl-${asked.length}`,
        object: 'chat.completion',
        created: 0,
        model,
        choices: [
          { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: said.text ?? text } },
        ],
        usage: { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 },
      }),
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const config = join(await mkdtemp(join(tmpdir(), 'promptgate-prices-')), 'promptgate.yaml');
  await writeFile(config, 'prices:\n  - { provider: openai, model: "*", input: 1, output: 10 }\n');
  return {
    environment: {
      OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
      OPENAI_API_KEY: 'sk-scripted',
      PROMPTGATE_CONFIG: config,
    },
    asked,
    close: () => new Promise<void>((done) => server.close(() => done())),
  };
}

/** What one answer of the scripted provider costs: 100 × 1 and 50 × 10 dollars a million. */
export const costOfAnswer = 0.0006;
