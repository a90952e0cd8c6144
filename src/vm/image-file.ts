/**
 * The guest image of a User VM: read from the file that the VM's options name, decoded, and
 * checked.
 *
 * Called by: `ServiceVm.createUserVm`; the command line, for a kernel and its initramfs.
 */

import { host } from '../host/current.js';
import { prepareGuestImage, type GuestImage } from '../hypervisor/boot/guest-image.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVmOptions } from './user-vm-options.js';

/**
 * Returns the image that the options name, if any. Throws IMAGE_NOT_FOUND and what
 * `prepareGuestImage` throws.
 */
export async function prepareImage(
  options: Pick<UserVmOptions, 'image' | 'cmdline'>,
  memoryBytes: number,
): Promise<GuestImage | undefined> {
  const { image, cmdline } = options;
  if (image === undefined) return undefined;
  const prepared = await prepareGuestImage(
    typeof image === 'string'
      ? { image: await readImage(image), ...(cmdline === undefined ? {} : { cmdline }) }
      : { ...image, ...(cmdline === undefined ? {} : { cmdline }) },
  );
  prepared.check(memoryBytes);
  return prepared;
}

/**
 * Reads a guest image, or a file that goes with it such as an initramfs. Throws IMAGE_NOT_FOUND.
 */
export async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await host.readFile(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UpcallError('IMAGE_NOT_FOUND', `cannot read ${path} (${reason})`, {
      remedy: 'Check the path and its permissions',
      cause: error,
    });
  }
}
