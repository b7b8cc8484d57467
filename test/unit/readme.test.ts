import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { Gateway } from '../../src/application/gateway.ts';
import { wires } from '../../src/application/provider.ts';
import { createProgram } from '../../src/cli/cli.ts';
import { errorTable } from '../../src/domain/errors.ts';
import { createHttpApp } from '../../src/http/server.ts';
import { unsupportedParameters } from '../../src/providers/wire.ts';
import { settings } from '../../src/settings.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** Cells of the table that follows a heading, without its header rows. */
function tableUnder(heading: string): string[][] {
  const section = readme.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

function commandsOf(command: Command, prefix = ''): string[] {
  return command.commands.flatMap((child) => {
    const name = `${prefix}${child.name()}`;
    return child.commands.length > 0 ? commandsOf(child, `${name} `) : [name];
  });
}

describe('the tables of the README are the code', () => {
  it('errors: code, HTTP status, audit status, exit code, meaning', () => {
    expect(tableUnder('Errors')).toEqual(
      Object.entries(errorTable).map(([code, kind]) => [
        `\`${code}\``,
        String(kind.httpStatus),
        kind.auditStatus,
        String(kind.exitCode),
        kind.meaning,
      ]),
    );
  });

  it('providers: every wire with the parameters that it cannot carry', () => {
    const every = new Proxy({}, { get: () => 1 });
    expect(tableUnder('Providers').map(([wire, , refused]) => [wire, refused])).toEqual(
      wires.map((wire) => [
        `\`${wire}\``,
        unsupportedParameters(wire, every)
          .map((name) => `\`${name}\``)
          .join(', '),
      ]),
    );
  });

  it('configuration: every variable with its default', () => {
    expect(tableUnder('Configuration')).toEqual(
      Object.entries(settings).map(([name, { fallback, about }]) => [
        `\`${name}\``,
        fallback === undefined ? '' : `\`${fallback}\``,
        about,
      ]),
    );
  });

  it('commands: every one, with what it does', () => {
    const program = createProgram({} as never, () => {});
    const named = tableUnder('Commands').map(
      ([command]) => /^`([a-z]+(?: [a-z]+)*)/.exec(command ?? '')?.[1],
    );
    expect(named).toEqual(commandsOf(program));
  });

  it('endpoints: every route of /openapi.json', () => {
    const app = createHttpApp({
      gateway: {} as Gateway,
      operations: { version: '0' } as never,
      maxBodyBytes: 1,
      onError() {},
      beginTrace: null,
    });
    const { paths } = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } });
    const routes = Object.entries(paths ?? {}).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `\`${method.toUpperCase()} ${path}\``),
    );
    expect(
      tableUnder('Endpoints')
        .map(([route]) => route)
        .sort(),
    ).toEqual(routes.sort());
  });
});
