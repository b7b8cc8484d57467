import { Portkey } from 'portkey-ai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientDefinitions } from '../support/client-definitions.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

describe.each(databases)(
  'the Portkey client at its prompt endpoints, on $name',
  ({ create: createDatabase }) => {
    let database: TestDatabase;
    let gateway: TestGateway;
    let client: Portkey;

    beforeAll(async () => {
      database = await createDatabase();
      gateway = await startGateway(database, { files: clientDefinitions });
      client = new Portkey({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.execute });
    });
    afterAll(async () => {
      await gateway?.close();
      await database?.drop();
    });
    beforeEach(() => gateway.fault(null));

    const variables = { name: 'Ada' };
    const newestRow = async () =>
      (await gateway.query('select * from ai_executions order by id desc limit 1'))[0];
    /** The client changes what it is given. */
    const create = (promptID: string, more: object = {}) =>
      client.prompts.completions.create({ promptID, variables, stream: false, ...more });
    const failureOf = (work: PromiseLike<unknown>) =>
      Promise.resolve(work).then(
        () => undefined,
        // biome-ignore lint/suspicious/noExplicitAny: the package exports no type of its errors
        (thrown: any) => thrown,
      );

    it.each(['greet', 'greet@production', 'greet@1'])(
      'completes %s with an answer that is the row',
      async (id) => {
        const completion = await create(id);
        const row = await newestRow();
        expect(completion).toMatchObject({
          id: `chatcmpl-${row.id}`,
          object: 'chat.completion',
          model: 'gpt-4o-mini',
          choices: [
            {
              index: 0,
              finish_reason: 'stop',
              message: { role: 'assistant', content: row.raw_output, refusal: null },
            },
          ],
          usage: { prompt_tokens: row.prompt_tokens, completion_tokens: row.completion_tokens },
        });
        expect(row).toMatchObject({ prompt_name: 'greet', status: 'succeeded' });
      },
    );

    it('streams chunks whose sum is the row', async () => {
      const stream = await client.prompts.completions.create({ promptID: 'greet', variables, stream: true });
      let text = '';
      let finish: string | null = null;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        finish ??= chunk.choices[0]?.finish_reason;
      }
      expect(finish).toBe('stop');
      expect(text).toBe((await newestRow()).raw_output);
    });

    it('calls the tools of the definition, whole and streamed', async () => {
      const completion = await create('agent');
      const [call] = completion.choices[0].message.tool_calls;
      expect(completion.choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: { content: null },
      });
      expect(call.function).toEqual({ name: 'get_weather', arguments: '{"city":"simulated"}' });
      const stream = await client.prompts.completions.create({ promptID: 'agent', variables, stream: true });
      let said = '';
      for await (const chunk of stream)
        said += chunk.choices[0]?.delta.tool_calls?.[0].function.arguments ?? '';
      expect(said).toBe(call.function.arguments);
    });

    it('renders what would be sent, and calls and records nothing', async () => {
      const [before, row] = [await gateway.providerRequests(), await newestRow()];
      const rendering = await client.prompts.render({
        promptID: 'talk',
        variables,
        messages: [{ role: 'user', content: 'Hello' }],
      });
      expect(rendering).toMatchObject({
        success: true,
        data: {
          model: 'gpt-4o-mini',
          messages: [
            { role: 'system', content: 'You talk with Ada.' },
            { role: 'user', content: 'Hello' },
          ],
          temperature: 0.2,
          max_tokens: 50,
        },
      });
      expect(await gateway.providerRequests()).toBe(before);
      expect(await newestRow()).toEqual(row);
    });

    it.each([
      ['invalid_request', 400, 'greet', { temperature: 0 }],
      ['invalid_request', 400, 'greet', { model: 'gpt-4o' }],
      ['invalid_variables', 422, 'greet', { variables: {} }],
      ['not_found', 404, 'nobody', {}],
    ])('refuses with %s %i, with a row and without a call', async (code, status, promptID, more) => {
      const before = await gateway.providerRequests();
      const failure = await failureOf(create(promptID, more));
      expect(failure).toMatchObject({ status, error: { error: { code, type: 'invalid_request_error' } } });
      expect(await gateway.providerRequests()).toBe(before);
      expect(await newestRow()).toMatchObject({ status: 'refused', error_code: code, prompt_name: promptID });
    });

    it('refuses an unknown key', async () => {
      const stranger = new Portkey({ baseURL: `${gateway.url}/v1`, apiKey: 'pg_unknown' });
      const failure = await failureOf(
        stranger.prompts.completions.create({ promptID: 'greet', variables, stream: false }),
      );
      expect(failure).toMatchObject({ status: 401, error: { error: { code: 'unauthenticated' } } });
    });

    it('is not asked again by its client when a provider fails', async () => {
      await gateway.fault({ kind: 'unauthorized' });
      const before = await gateway.providerRequests();
      const failure = await failureOf(create('greet'));
      expect(failure).toMatchObject({
        status: 502,
        error: { error: { code: 'provider_misconfigured', type: 'server_error' } },
      });
      expect(await gateway.providerRequests()).toBe(before + 1);
    });
  },
);
