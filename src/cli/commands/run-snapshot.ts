/**
 * The options of `upcall run` that are about snapshots: `--save`, `--save-after`, and a snapshot's
 * file in place of a guest.
 *
 * Called by: planSession.
 */

import { open, stat } from 'node:fs/promises';
import { UpcallError } from '../../io-request/upcall-error.js';
import { isSnapshot } from '../../vm/snapshot/snapshot-file.js';
import { readSnapshot, type Snapshot } from '../../vm/snapshot/snapshot.js';
import type { SavePlan } from '../session-save.js';
import type { RunOptions } from './run-options.js';

/** The prompt of debian's shell, before which it waits for the operator. */
const DEBIAN_PROMPT = 'debian:/root# ';
const MAGIC_BYTES = 8;

/** Where and when `options` want the guest `name` to be saved. Throws OPTION_INVALID. */
export function savePlan(name: string | undefined, options: RunOptions): SavePlan | undefined {
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
  return { file, ...(after === undefined ? {} : { after }) };
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
