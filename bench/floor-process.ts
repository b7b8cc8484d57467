/** The floor: what Node itself takes to pass a request on and its answer back. Nothing is looked at. Argument: where to. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const upstream = new Pool(process.argv[2]!, { connections: 1_024 });

const server = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const answer = await upstream.request({
    method: 'POST',
    path: request.url!,
    headers: { 'content-type': 'application/json' },
    body: Buffer.concat(parts),
  });
  response.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']) });
  for await (const part of answer.body) response.write(part);
  response.end();
});
server.listen(0, '127.0.0.1', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on('disconnect', () => process.exit(0));
