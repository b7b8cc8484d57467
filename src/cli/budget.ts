import { type Command, Option } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { oneLine, renderTable } from './render.ts';

interface BudgetView {
  readonly scope: string;
  readonly subject: string;
  readonly measure: string;
  readonly period: string;
  readonly currency: string | null;
  readonly refuse_at: string | null;
  readonly warn_at: string | null;
  readonly taken: string;
  readonly actor: string;
  readonly reason: string | null;
}

interface SetOptions {
  readonly per?: string;
  readonly refuse?: string;
  readonly warn?: string;
  readonly currency?: string;
  readonly reason?: string;
}

export function addBudgetCommand(program: Command, context: CliContext): void {
  const budget = program
    .command('budget')
    .description('What a key, a prompt or a label may cost, or how often it may be called');
  budget
    .command('set')
    .description('Set a budget; without thresholds: lift it')
    .argument('<subject>', 'key:NAME, prompt:NAME or label:NAME')
    .argument('<measure>', 'cost, requests or tokens')
    .addOption(
      new Option('--per <period>', 'of a cost; requests and tokens are by minute').choices(['day', 'month']),
    )
    .option('--refuse <amount>', 'refuse calls from here on (402; 429 for requests and tokens)')
    .option('--warn <amount>', 'log a warning from here on')
    .option('--currency <code>', 'of a cost', 'USD')
    .option('--reason <text>', 'why; it is kept')
    .action((subject: string, measure: string, options: SetOptions) =>
      withGateway(context, async (client) => {
        const [, scope, name] = /^(key|prompt|label):(.+)$/.exec(subject) ?? [];
        if (!scope || !name) {
          throw new PromptgateError(
            'invalid_request',
            'Say whose budget: key:NAME, prompt:NAME or label:NAME.',
          );
        }
        if (measure !== 'cost' && options.per !== undefined) {
          throw new PromptgateError(
            'invalid_request',
            `A limit of ${measure} is by minute: leave --per out.`,
          );
        }
        const { set } = await client.request<{ set: boolean }>('PUT', '/v1/budgets', {
          scope,
          subject: name,
          measure,
          period: measure === 'cost' ? (options.per ?? 'day') : 'minute',
          currency: options.currency,
          refuse_at: options.refuse ?? null,
          warn_at: options.warn ?? null,
          ...(options.reason ? { reason: options.reason } : {}),
        });
        context.out(set ? `The budget of ${subject} is set.` : `${subject} has no such budget any more.`);
      }),
    );
  budget
    .command('show')
    .description('Budgets in force, and what is taken of them in the present period')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) =>
      withGateway(context, async (client) => {
        const answer = await client.request<{ data: BudgetView[] }>('GET', '/v1/budgets');
        if (options.json) return context.out(JSON.stringify(answer, null, 2));
        if (answer.data.length === 0) return context.out('Nothing is limited.');
        const rows = answer.data.map((one) => [
          `${one.scope}:${one.subject}`,
          one.currency ? `${one.measure} in ${one.currency}` : one.measure,
          one.period,
          one.taken,
          one.warn_at ?? '—',
          one.refuse_at ?? '—',
          one.actor,
          oneLine(one.reason),
        ]);
        context.out(renderTable(['whose', 'what', 'per', 'taken', 'warn', 'refuse', 'who', 'why'], rows));
      }),
    );
}
