/**
 * An append-only local journal: what `append` has resolved for is on disk. A record is framed by its length and its
 * CRC-32, so a tail that a crash has torn is recognised, and what was whole before it is read.
 *
 *   file    = "PGSPOOL1" record*          record = length u32le · crc32 u32le · payload (UTF-8)
 *
 * Files are sealed and replaced; a sealed one is read, and removed when its records are somewhere safer. After an
 * fdatasync has failed nothing is ever appended again: the kernel may have dropped the pages and would report success
 * for the next one.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { PromptgateError } from '../domain/errors.ts';

/** What the journal needs of a file; a test gives one with a disk that fails. */
export type JournalFile = Pick<FileHandle, 'write' | 'datasync' | 'truncate' | 'close'>;

export interface SpoolJournalOptions {
  readonly directory: string;
  readonly openFile?: ((path: string) => Promise<JournalFile>) | undefined;
  readonly now?: () => number;
  /** A file is sealed when it has grown past this: replay reads one whole. */
  readonly segmentBytes?: number;
}

export interface SpoolJournal {
  /** Resolves when every record is durable. @throws PromptgateError audit_unavailable — none may be relied on */
  append(records: readonly string[]): Promise<void>;
  /** Closes the current file; the next append begins another. */
  seal(): Promise<void>;
  /** Files to be read, oldest first. */
  sealed(): readonly string[];
  read(segment: string): Promise<string[]>;
  remove(segment: string): Promise<void>;
  /** Takes it out of the journal and keeps the file, for a person to look at. */
  setAside(segment: string): Promise<void>;
  /** Nothing is in it and nothing is on its way. */
  isEmpty(): boolean;
  bytes(): number;
  /** When the oldest record was written, in epoch milliseconds. */
  oldestAt(): number | undefined;
  /** A sync has failed: no more appends in the life of this process. */
  failed(): boolean;
  close(): Promise<void>;
}

const magic = Buffer.from('PGSPOOL1', 'latin1');
const frameBytes = 8;
const defaultSegmentBytes = 33_554_432;
const segmentPattern = /^(\d{15})-\d{6}\.journal$/;

interface OpenSegment {
  readonly name: string;
  readonly file: JournalFile;
  /** Everything before this is durable. */
  length: number;
}

export async function openSpoolJournal(options: SpoolJournalOptions): Promise<SpoolJournal> {
  const { directory } = options;
  const openFile = options.openFile ?? ((path: string) => open(path, 'ax', 0o600));
  const now = options.now ?? Date.now;
  const segmentBytes = options.segmentBytes ?? defaultSegmentBytes;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const sizes = new Map<string, number>();
  for (const name of (await readdir(directory)).filter((one) => segmentPattern.test(one)).sort()) {
    sizes.set(name, (await stat(join(directory, name))).size);
  }
  let current: OpenSegment | undefined;
  let failure: unknown;
  let pending = 0;
  let sequence = 0;
  /** Appends and seals, one after the other. */
  let line: Promise<unknown> = Promise.resolve();

  function inLine<T>(work: () => Promise<T>): Promise<T> {
    pending++;
    const done = line.then(work).finally(() => {
      pending--;
    });
    line = done.catch(() => {});
    return done;
  }

  async function openSegment(): Promise<OpenSegment> {
    const name = `${String(now()).padStart(15, '0')}-${String(sequence++).padStart(6, '0')}.journal`;
    const file = await openFile(join(directory, name));
    // The entry of a new file is data of its directory.
    const parent = await open(directory, 'r');
    await parent.sync().finally(() => parent.close());
    const segment = { name, file, length: 0 };
    sizes.set(name, 0);
    return segment;
  }

  async function appendNow(data: Buffer): Promise<void> {
    if (failure !== undefined) throw unavailable(failure);
    const segment = await (current ?? openSegment());
    current = segment;
    const bytes = segment.length === 0 ? Buffer.concat([magic, data]) : data;
    try {
      await writeAll(segment.file, bytes, segment.length);
    } catch (error) {
      // Whatever arrived is cut off again. If that fails too, the file ends here.
      await segment.file.truncate(segment.length).catch((cause) => fail(cause));
      throw error;
    }
    await segment.file.datasync().catch((cause) => fail(cause));
    if (failure !== undefined) throw unavailable(failure);
    segment.length += bytes.length;
    sizes.set(segment.name, segment.length);
    if (segment.length >= segmentBytes) await sealNow();
  }

  function fail(cause: unknown): void {
    failure = cause;
  }

  async function sealNow(): Promise<void> {
    const segment = current;
    current = undefined;
    if (segment) await segment.file.close().catch(() => {});
  }

  const sealed = () => [...sizes.keys()].filter((name) => name !== current?.name);
  return {
    append: (records) =>
      inLine(() => appendNow(encode(records))).catch((error) => {
        throw unavailable(error);
      }),
    seal: () => inLine(sealNow),
    sealed,
    read: async (segment) => decode(await readFile(join(directory, segment))),
    async remove(segment) {
      await rm(join(directory, segment), { force: true });
      sizes.delete(segment);
    },
    async setAside(segment) {
      await rename(join(directory, segment), join(directory, `${segment}.rejected`));
      sizes.delete(segment);
    },
    isEmpty: () => sizes.size === 0 && pending === 0,
    bytes: () => [...sizes.values()].reduce((sum, size) => sum + size, 0),
    oldestAt() {
      const [oldest] = sizes.keys();
      return oldest === undefined ? undefined : Number(segmentPattern.exec(oldest)?.[1]);
    },
    failed: () => failure !== undefined,
    close: () => inLine(sealNow),
  };
}

async function writeAll(file: JournalFile, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}

function encode(records: readonly string[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const payload = Buffer.from(record, 'utf8');
      const frame = Buffer.allocUnsafe(frameBytes);
      frame.writeUInt32LE(payload.length, 0);
      frame.writeUInt32LE(crc32(payload), 4);
      return [frame, payload];
    }),
  );
}

/** The longest prefix of whole records. */
function decode(bytes: Buffer): string[] {
  const records: string[] = [];
  if (!bytes.subarray(0, magic.length).equals(magic)) return records;
  for (let at = magic.length; at + frameBytes <= bytes.length; ) {
    const end = at + frameBytes + bytes.readUInt32LE(at);
    const payload = bytes.subarray(at + frameBytes, end);
    if (end > bytes.length || crc32(payload) !== bytes.readUInt32LE(at + 4)) break;
    records.push(payload.toString('utf8'));
    at = end;
  }
  return records;
}

function unavailable(cause: unknown): PromptgateError {
  if (cause instanceof PromptgateError) return cause;
  return new PromptgateError('audit_unavailable', 'The spool cannot be written.', { cause });
}
