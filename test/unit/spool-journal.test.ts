import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JournalFile, openSpoolJournal, type SpoolJournal } from '../../src/store/spool-journal.ts';

describe('the spool journal', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'promptgate-spool-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const readAll = async (journal: SpoolJournal) =>
    (await Promise.all(journal.sealed().map((segment) => journal.read(segment)))).flat();
  const reopen = () => openSpoolJournal({ directory });

  it('gives back what was appended, in order, to the next process, and is private', async () => {
    const journal = await openSpoolJournal({ directory, segmentBytes: 100 });
    const records = Array.from({ length: 30 }, (_, index) => `record ${index} ünicode 🙂`);
    await Promise.all(records.map((record) => journal.append([record])));
    expect(await readAll(await reopen())).toEqual(records);
    for (const name of await readdir(directory)) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    }
    expect(journal.bytes()).toBeGreaterThan(0);
    await journal.close();
  });

  it('keeps the longest whole prefix when it is cut at any byte of its last record', async () => {
    const journal = await reopen();
    await journal.append(['first', 'second']);
    const [name] = journal.sealed().concat(await readdir(directory));
    const path = join(directory, name!);
    const whole = (await stat(path)).size;
    await journal.append(['the last record']);
    await journal.close();
    const bytes = await readFile(path);
    for (let length = whole; length < bytes.length; length++) {
      await writeFile(path, bytes);
      await truncate(path, length);
      expect(await readAll(await reopen())).toEqual(['first', 'second']);
    }
  });

  it('never gives back a record that was changed', async () => {
    const journal = await reopen();
    await journal.append(['one', 'two', 'three']);
    await journal.close();
    const [name] = await readdir(directory);
    const bytes = await readFile(join(directory, name!));
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const damaged = Buffer.from(bytes);
          damaged[at]! ^= flip;
          await writeFile(join(directory, name!), damaged);
          const read = await readAll(await reopen());
          expect(['one', 'two', 'three'].slice(0, read.length)).toEqual(read);
          expect(read.length).toBeLessThan(3);
        },
      ),
    );
  });

  /** A disk that fails in one call. */
  function failing(changes: (file: JournalFile) => Partial<JournalFile>) {
    return async (path: string): Promise<JournalFile> => {
      const file = await open(path, 'ax', 0o600);
      const sound: JournalFile = {
        write: file.write.bind(file) as JournalFile['write'],
        datasync: () => file.datasync(),
        truncate: (length) => file.truncate(length),
        close: () => file.close(),
      };
      return { ...sound, ...changes(sound) };
    };
  }

  it('cuts off what a full disk took, and goes on when there is room', async () => {
    let full = false;
    const openFile = failing((file) => ({
      write: (async (bytes: Buffer, offset: number, length: number, position: number) => {
        if (!full) return file.write(bytes, offset, length, position);
        await file.write(bytes, offset, Math.min(length, 5), position);
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      }) as JournalFile['write'],
    }));
    const journal = await openSpoolJournal({ directory, openFile });
    await journal.append(['before']);
    full = true;
    await expect(journal.append(['lost'])).rejects.toMatchObject({ code: 'audit_unavailable' });
    expect(journal.failed()).toBe(false);
    full = false;
    await journal.append(['after']);
    await journal.close();
    expect(await readAll(await reopen())).toEqual(['before', 'after']);
  });

  it('stops at a failed sync and never syncs again; what was durable is still there', async () => {
    let broken = false;
    let syncs = 0;
    const openFile = failing((file) => ({
      async datasync() {
        syncs++;
        if (broken) throw Object.assign(new Error('I/O error'), { code: 'EIO' });
        await file.datasync();
      },
    }));
    const journal = await openSpoolJournal({ directory, openFile });
    await journal.append(['durable']);
    broken = true;
    await expect(journal.append(['in doubt'])).rejects.toMatchObject({ code: 'audit_unavailable' });
    broken = false;
    await expect(journal.append(['never'])).rejects.toMatchObject({ code: 'audit_unavailable' });
    expect([journal.failed(), syncs]).toEqual([true, 2]);
    await journal.close();
    const read = await readAll(await reopen());
    expect(read[0]).toBe('durable');
    expect(read).not.toContain('never');
  });
});
