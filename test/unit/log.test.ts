import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { toFields } from '../../src/telemetry/log.ts';
import { execution } from '../support/records.ts';

it('a line names the currency of a cost, and none where the cost is not known', () => {
  const { price } = execution();
  expect(toFields(execution())).toMatchObject({ cost: '0.000123456789', currency: 'USD' });
  expect(toFields(execution({ price: { ...price, cost: null } }))).toMatchObject({
    cost: null,
    currency: null,
  });
});

it('a line holds nothing of what was sent and answered', () => {
  const { rawOutput } = execution();
  const line = JSON.stringify(toFields(execution()));
  expect(line).not.toContain(rawOutput);
  expect(line).not.toMatch(/last first|look_up|Hmm/);
});

it('what is logged before the process exits is written, in whole lines', async () => {
  const program = `
    import { createLog } from '${new URL('../../src/telemetry/log.ts', import.meta.url).href}';
    const log = createLog('info');
    for (let line = 0; line < 100; line++) log.info('before');
    setImmediate(() => {
      log.info('last');
      process.exit(3);
    });`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  const { code, stderr } = await run.then(
    () => expect.fail('it exits with 3'),
    (failure: { code: number; stderr: string }) => failure,
  );
  expect(code).toBe(3);
  const messages = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg);
  // What is being written meanwhile may come after it.
  expect(messages).toContain('last');
});
