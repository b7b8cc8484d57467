import { type Command, Option } from 'commander';
import { scopes } from '../domain/api-key.ts';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { renderTable } from './render.ts';

interface KeyView {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: string[];
  readonly prompts: string[] | null;
  readonly labels: string[] | null;
  readonly raw: boolean | null;
  readonly created_at: string;
  readonly revoked_at: string | null;
}

interface CreateOptions {
  readonly scope: string[];
  readonly prompts?: string[];
  readonly labels?: string[];
  readonly raw?: 'allow' | 'refuse';
  readonly json?: boolean;
}

export function addKeysCommand(program: Command, context: CliContext): void {
  const keys = program.command('keys').description('Create, list and revoke API keys');
  keys
    .command('create')
    .description('Create a key and print its secret, once')
    .argument('<name>', 'who will use it, e.g. billing-service')
    .option('--scope <scopes...>', `one or more of: ${scopes.join(', ')}`, ['execute'])
    .option('--prompts <globs...>', "only these prompts; `*` stands for any characters, e.g. 'billing-*'")
    .option('--labels <labels...>', 'only these labels, and no version by its number')
    .addOption(
      new Option(
        '--raw <allow|refuse>',
        'calls without a prompt, where the gateway takes them; default: allow, unless limited by --prompts or --labels',
      ).choices(['allow', 'refuse']),
    )
    .option('--json', 'print JSON')
    .action((name: string, options: CreateOptions) =>
      withGateway(context, async (client) => {
        const key = await client.request<KeyView & { secret: string }>('POST', '/v1/keys', {
          name,
          scopes: options.scope,
          ...(options.prompts ? { prompts: options.prompts } : {}),
          ...(options.labels ? { labels: options.labels } : {}),
          ...(options.raw ? { raw: options.raw === 'allow' } : {}),
        });
        if (options.json) return context.out(JSON.stringify(key, null, 2));
        context.out(key.secret);
        context.err(`Key "${key.name}" (${describeReach(key)}). The secret is not stored: keep it now.`);
      }),
    );
  keys
    .command('list')
    .description('List keys, without their secrets')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) =>
      withGateway(context, async (client) => {
        const { data } = await client.request<{ data: KeyView[] }>('GET', '/v1/keys');
        if (options.json) return context.out(JSON.stringify(data, null, 2));
        const rows = data.map((key) => [
          key.name,
          `${key.prefix}…`,
          key.scopes.join(' '),
          key.prompts?.join(' ') ?? 'all',
          key.labels?.join(' ') ?? 'all',
          key.created_at.slice(0, 10),
          key.revoked_at ? `revoked ${key.revoked_at.slice(0, 10)}` : 'active',
          key.id,
        ]);
        context.out(
          renderTable(['name', 'secret', 'scopes', 'prompts', 'labels', 'created', 'state', 'id'], rows),
        );
      }),
    );
  keys
    .command('revoke')
    .description('Revoke a key; it stops working everywhere within a second')
    .argument('<key>', 'id or name')
    .option('--json', 'print JSON')
    .action((idOrName: string, options: { json?: boolean }) =>
      withGateway(context, async (client) => {
        const key = await client.request<KeyView>('DELETE', `/v1/keys/${encodeURIComponent(idOrName)}`);
        context.out(options.json ? JSON.stringify(key, null, 2) : `Revoked "${key.name}" (${key.prefix}…).`);
      }),
    );
}

function describeReach(key: KeyView): string {
  const limits = [
    key.prompts ? `prompts ${key.prompts.join(', ')} only` : '',
    key.labels ? `labels ${key.labels.join(', ')} only` : '',
    key.raw === null ? '' : `raw calls ${key.raw ? 'allowed' : 'refused'}`,
  ];
  return [key.scopes.join(', '), ...limits].filter(Boolean).join('; ');
}
