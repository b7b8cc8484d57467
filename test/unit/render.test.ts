import { expect, it } from 'vitest';
import { renderError, renderTable } from '../../src/cli/render.ts';
import { PromptgateError } from '../../src/domain/errors.ts';

it('shows what somebody sent without letting it steer the terminal or break the table', () => {
  const hostile = 'a\u001b]0;owned\u0007\u001b[2Jb\r\nc\u009b31m';
  const table = renderTable(['prompt', 'label'], [[hostile, '\u001b[32mok\u001b[39m']]);
  expect(table.split('\n')).toHaveLength(2);
  expect(table).toContain('a\uFFFD]0;owned\uFFFD\uFFFD[2Jb\uFFFD\uFFFDc\uFFFD31m');
  expect(table).toContain('\u001b[32mok\u001b[39m');
});

it('says once what a message and its issue both say', () => {
  const issues = [
    { path: 'version', message: 'too small' },
    { path: 'reason', message: 'say why' },
  ];
  const error = new PromptgateError('invalid_request', 'The body does not fit: version: too small', {
    issues,
  });
  expect(renderError(error).split('\n').slice(1)).toEqual(['  reason: say why']);
});
