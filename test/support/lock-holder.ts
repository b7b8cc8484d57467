/** A second process for the tests of the directory lock: takes the lock of argv[2], says so, and holds it. */
import { lockDirectory } from '../../src/store/directory-lock.ts';

try {
  const lock = lockDirectory(process.argv[2] ?? '');
  lock.publishAddress('http://127.0.0.1:4100');
  process.stdout.write('held\n');
  process.stdin.resume();
  process.stdin.once('end', () => lock.release());
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
