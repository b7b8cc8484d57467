/** Clients that go away, at every stage of a stream: the row is right, the provider hears of it, and nothing stays behind. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { heapUsed } from '../support/heap-used.ts';
import { type SteppedProvider, startSteppedProvider } from '../support/stepped-provider.ts';

const idleTimeoutMs = 400;

/** One database will do: whether a reader is there is no matter of the database. */
describe('a client that goes away', () => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let provider: SteppedProvider;
  let number = 0;

  beforeAll(async () => {
    database = await databases[0]!.create();
    provider = await startSteppedProvider();
    const environment = {
      OPENAI_API_KEY: 'sk-test',
      OPENAI_BASE_URL: `${provider.url}/v1`,
      PROMPTGATE_IDLE_TIMEOUT_MS: String(idleTimeoutMs),
    };
    gateway = await startGateway(database, { environment });
  });
  afterAll(async () => {
    await gateway?.close();
    await provider?.close();
    await database?.drop();
  });

  /** A client as close to the wire as can be: it reads when it is told to, and leaves without a word. */
  class Client {
    readonly requestId = `leaver-${++number}`;
    readonly socket: Socket;
    private heard = '';

    constructor() {
      const { hostname, port } = new URL(gateway.url);
      this.socket = connect(Number(port), hostname).pause();
      this.socket.on('data', (bytes) => {
        this.heard += String(bytes);
      });
    }

    ask(sent = 1): this {
      const body = JSON.stringify({ variables: { name: 'Ada' }, stream: true });
      const head = [
        'POST /v1/prompts/greet/executions HTTP/1.1',
        'host: gateway',
        `authorization: Bearer ${gateway.keys.execute}`,
        `x-request-id: ${this.requestId}`,
        `content-length: ${body.length}`,
      ];
      this.socket.write(`${head.join('\r\n')}\r\n\r\n${body.slice(0, body.length * sent)}`);
      return this;
    }

    async hear(text: string): Promise<void> {
      this.socket.resume();
      while (!this.heard.includes(text)) await once(this.socket, 'data');
    }

    async leave(): Promise<void> {
      const { localPort } = this.socket;
      this.socket.destroy();
      // The gateway has noticed when its end is gone, too.
      await expect.poll(() => openSockets().some(({ remotePort }) => remotePort === localPort)).toBe(false);
    }

    async row(timeout = 10_000) {
      const query = `select * from ai_executions where request_id = '${this.requestId}'`;
      await expect.poll(() => gateway.query(query), { timeout }).toHaveLength(1);
      return (await gateway.query(query))[0];
    }
  }

  const openSockets = () =>
    (process as unknown as { _getActiveHandles(): readonly Socket[] })._getActiveHandles();
  const resources = (kind: string) => process.getActiveResourcesInfo().filter((one) => one === kind).length;
  const sockets = () => resources('TCPSocketWrap');
  const cancelled = { status: 'cancelled', error_code: 'cancelled', response_hash: null };
  const intents = () => gateway.query('select count(*)::int as n from ai_execution_intents');

  it('while it asks: nobody is called', async () => {
    const before = provider.requests;
    const client = new Client().ask(0.5);
    await once(client.socket, 'connect');
    client.socket.end();
    expect(await client.row()).toMatchObject({ ...cancelled, prompt_name: 'greet', raw_output: null });
    expect(provider.requests).toBe(before);
  });

  it('before its intent is durable: nobody is called', async () => {
    const before = provider.requests;
    const sql = postgres(database.url, { max: 1 });
    let client: Client | undefined;
    await sql.begin(async (held) => {
      await held`lock table ai_execution_intents in exclusive mode`;
      client = new Client().ask();
      const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await expect.poll(() => gateway.query(waiting)).not.toHaveLength(0);
      await client.leave();
    });
    await sql.end();
    expect(await client?.row()).toMatchObject({ ...cancelled, raw_output: null, delivered_bytes: 0 });
    expect(provider.requests).toBe(before);
  });

  it.each(['has sent nothing', 'has sent headers, but no content'])(
    'while the provider %s: it is hung up on at once',
    async (stage) => {
      const client = new Client().ask();
      const exchange = await provider.next();
      if (stage !== 'has sent nothing') exchange.open();
      await client.leave();
      await exchange.closed;
      const row = await client.row();
      expect(row).toMatchObject({ ...cancelled, raw_output: null, time_to_first_token_ms: null });
      expect(row).toMatchObject({ delivered_bytes: 0, disconnected_at: expect.any(Date) });
    },
  );

  it.each([
    ['in the middle', ['Hello', ' there'], 1],
    ['when all but the terminator has come', ['Hello', ' there'], 2],
  ])('%s: the answer that was bought is kept whole', async (_, pieces, heard) => {
    const client = new Client().ask();
    const exchange = await provider.next();
    exchange.open();
    for (const piece of pieces.slice(0, heard)) exchange.say(piece);
    await client.hear(pieces[heard - 1] ?? '');
    await client.leave();
    for (const piece of pieces.slice(heard)) exchange.say(piece);
    exchange.finish();
    const row = await client.row();
    expect(row).toMatchObject({ status: 'succeeded', raw_output: 'Hello there', completion_tokens: 5 });
    expect(row.delivered_bytes).toBe(pieces.slice(0, heard).join('').length);
    expect(row.disconnected_at).toBeInstanceOf(Date);
  });

  it('while the provider pauses: the pause still has its bound, and the row what came', async () => {
    const client = new Client().ask();
    const exchange = await provider.next();
    exchange.open();
    exchange.say('Hello');
    await client.hear('Hello');
    await client.leave();
    await exchange.closed;
    const row = await client.row();
    expect(row).toMatchObject({ status: 'failed', error_code: 'provider_timeout', raw_output: 'Hello' });
    expect(row).toMatchObject({ delivered_bytes: 5, disconnected_at: expect.any(Date) });
    expect(row.latency_ms).toBeGreaterThanOrEqual(idleTimeoutMs);
  });

  it('after it has long ceased to read: the provider was held back, and may then end', async () => {
    const piece = 'x'.repeat(256 * 1024);
    const pieces = 64;
    const client = new Client().ask();
    const exchange = await provider.next();
    exchange.open();
    for (let said = 0; said < pieces; said++) exchange.say(piece);
    exchange.finish();
    // What the gateway does not take stays here: after a while nothing moves any more.
    let before = Number.NaN;
    await expect
      .poll(
        () => {
          const stands = exchange.waiting() === before;
          before = exchange.waiting();
          return stands;
        },
        { interval: 300, timeout: 10_000 },
      )
      .toBe(true);
    expect(before).toBeGreaterThan(1024 * 1024);
    await client.leave();
    const row = await client.row();
    expect(row).toMatchObject({ status: 'succeeded', disconnected_at: expect.any(Date) });
    expect(row.raw_output).toHaveLength(pieces * piece.length);
    expect(row.delivered_bytes).toBeLessThan(row.raw_output.length);
  });

  it.runIf(process.env.PROMPTGATE_FAULT === 'long')(
    'when it never reads: it is given up after 10 seconds, and its connection is closed',
    async () => {
      const client = new Client().ask();
      const exchange = await provider.next();
      exchange.open();
      for (let said = 0; said < 64; said++) exchange.say('x'.repeat(256 * 1024));
      exchange.finish();
      const row = await client.row(20_000);
      expect(row).toMatchObject({ status: 'succeeded', disconnected_at: expect.any(Date) });
      expect(row.latency_ms).toBeGreaterThan(10_000);
      client.socket.resume();
      await once(client.socket, 'close');
    },
  );

  it('leaves nothing behind, however many do', async () => {
    const round = async (clients: number) => {
      const stages = Array.from({ length: clients }, async (_, index) => {
        const client = new Client().ask();
        const exchange = await provider.next();
        if (index % 3 > 0) exchange.open();
        if (index % 3 > 1) exchange.say('Hello');
        client.socket.destroy();
        if (index % 3 > 1) exchange.finish();
        await exchange.closed;
      });
      await Promise.all(stages);
      await expect.poll(intents).toEqual([{ n: 0 }]);
    };
    await round(30);
    const before = { heap: heapUsed(), sockets: sockets(), timeouts: resources('Timeout') };
    for (let rounds = 0; rounds < 2; rounds++) await round(75);
    // As many connections to the provider are kept for later as were in use at one time.
    const kept = 25;
    await expect.poll(sockets).toBeLessThanOrEqual(before.sockets + kept);
    await expect.poll(() => resources('Timeout')).toBeLessThanOrEqual(before.timeouts + kept);
    // 150 streams that stayed would hold some 10 MiB; what is left is what caches have learnt.
    expect(heapUsed() - before.heap).toBeLessThan(4 * 1024 * 1024);
  });
});
