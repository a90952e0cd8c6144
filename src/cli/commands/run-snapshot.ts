/**
 * The options of `upcall run` that are about snapshots: `--save`, `--save-after`, and a snapshot's
 * file in place of a guest.
 *
 * Called by: planSession.
 */

import { access, constants, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UpcallError } from '../../io-request/upcall-error.js';
import { isSnapshot } from '../../vm/snapshot/snapshot-file.js';
import { readSnapshot, type Snapshot } from '../../vm/snapshot/snapshot.js';
import type { SavePlan } from '../session-save.js';
import type { RunOptions } from './run-options.js';

/** The prompt of debian's shell, before which it waits for the operator. */
const DEBIAN_PROMPT = 'debian:/root# ';
const MAGIC_BYTES = 8;

/**
 * Where and when `options` want the guest `name` to be saved. Rejects with OPTION_INVALID, also for
 * a file that cannot be written, and for a save that nothing can trigger.
 */
export async function savePlan(
  name: string | undefined,
  options: RunOptions,
  hasTerminal: boolean,
): Promise<SavePlan | undefined> {
  const { save: file, saveAfter } = options;
  if (file === undefined) {
    if (saveAfter === undefined) return undefined;
    throw new UpcallError('OPTION_INVALID', '--save-after needs a file to save to', { remedy: 'Add --save FILE' });
  }
  if (file === '' || saveAfter === '')
    throw new UpcallError('OPTION_INVALID', '--save and --save-after need a text', {
      remedy: "Write for example --save vm.snap --save-after 'login:'",
    });
  const after = saveAfter ?? (name === 'debian' ? DEBIAN_PROMPT : undefined);
  if (after === undefined && !hasTerminal)
    throw new UpcallError('OPTION_INVALID', `nothing would save to ${file}: without a terminal there is no key`, {
      remedy: 'Add --save-after TEXT: the machine is saved when the guest prints it',
    });
  await expectWritable(file);
  return { file, ...(after === undefined ? {} : { after }) };
}

/** A save replaces the file, so its folder is what has to be writable. */
async function expectWritable(file: string): Promise<void> {
  const why = await whyNotWritable(file);
  if (why === undefined) return;
  throw new UpcallError('OPTION_INVALID', `--save ${file}: cannot write there (${why})`, {
    remedy: 'Give a file in a folder that exists and that you may write to',
  });
}

/** The errno of a save to `file`, as far as it is known before. */
async function whyNotWritable(file: string): Promise<string | undefined> {
  try {
    await access(dirname(resolve(file)), constants.W_OK | constants.X_OK);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  try {
    return (await stat(file)).isDirectory() ? 'EISDIR' : undefined;
  } catch {
    // There is no file yet.
    return undefined;
  }
}

/** The snapshot in the file `name`, or undefined if it is not a snapshot. */
export async function namedSnapshot(name: string | undefined, options: RunOptions): Promise<Snapshot | undefined> {
  if (name === undefined || !(await hasMagic(name))) return undefined;
  for (const [option, given] of [
    ['--memory', options.memory !== undefined],
    ['--vcpus', options.vcpus !== undefined],
    ['--cmdline', options.cmdline !== undefined],
    ['--kernel', options.kernel !== undefined],
    ['--initrd', options.initrd !== undefined],
    ['--module', options.module.length > 0],
    ['--kind', options.kind !== undefined],
    ['--no-acpi', !options.acpi],
    ['--polling', options.polling === true],
    ['--tour', options.tour === true],
    ['--run', options.run !== undefined],
    ['--root', options.root !== undefined],
    ['--overlay', options.overlay !== undefined],
    ['--mirror', options.mirror !== undefined],
  ] as const)
    if (given)
      throw new UpcallError('OPTION_INVALID', `${name} is a saved machine, which cannot be combined with ${option}`, {
        remedy: `Leave out ${option}`,
      });
  return readSnapshot(name);
}

/** False if the file cannot be read: the reader of images then says why. */
async function hasMagic(file: string): Promise<boolean> {
  try {
    // A pipe has no position, must not lose its first bytes, and opens only with a writer.
    if (!(await stat(file)).isFile()) return false;
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
      return isSnapshot(buffer.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  } catch {
    return false;
  }
}
