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
