/**
 * The guest image of a User VM: read from the file that the VM's options name, decoded, and
 * checked.
 *
 * Called by: `ServiceVm.createUserVm`; the command line, for a kernel and its initramfs.
 */

import { host } from '../host/current.js';
import { FileTooLargeError, sizeText, type ReadLimits } from '../host/file-too-large.js';
import { prepareGuestImage, type GuestImage, type GuestImageOptions } from '../hypervisor/boot/guest-image.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVmOptions } from './user-vm-options.js';

/**
 * A file may fill any guest's memory, and 2 GiB less one byte is what Node reads at once. A stream
 * is held in memory until its end shows that it is small enough.
 */
export const IMAGE_LIMITS: ReadLimits = { fileBytes: 0x7fff_ffff, streamBytes: 256 * 2 ** 20 };

/** What an image depends on. */
export interface ImageMachine {
  readonly memoryBytes: number;
  readonly vcpuCount: number;
  /** As in Hypervisor. */
  readonly longMode?: boolean | undefined;
}

/**
 * Resolves with the image that the options name, for that machine, or with undefined without
 * one. Rejects as `readImage` and `prepareGuestImage` do, with OPTION_INVALID for an image that is
 * neither a name nor bytes, and with what `GuestImage.check` throws.
 */
export async function prepareImage(
  options: Pick<UserVmOptions, 'image' | 'cmdline'>,
  { memoryBytes, vcpuCount, longMode = false }: ImageMachine,
): Promise<GuestImage | undefined> {
  const { image, cmdline } = options;
  if (image === undefined) return undefined;
  const prepared = await prepareGuestImage({
    processors: vcpuCount,
    longMode,
    ...(typeof image === 'string' ? { image: await readImage(image) } : checkBytes(image)),
    ...(cmdline === undefined ? {} : { cmdline }),
  });
  prepared.check(memoryBytes);
  return prepared;
}

/** What a program in JavaScript gave. Throws OPTION_INVALID unless it has the bytes of an image. */
function checkBytes(given: GuestImageOptions): GuestImageOptions {
  const parts = given as Partial<GuestImageOptions> | null;
  if (parts?.image instanceof Uint8Array) return given;
  throw new UpcallError('OPTION_INVALID', 'image: expected the name of a file, or an object with its bytes', {
    remedy: given instanceof Uint8Array ? 'Write image: { image: bytes }' : 'Give image as a Uint8Array in it',
  });
}

/**
 * Reads a guest image, or a file that goes with it such as an initramfs. Rejects with
 * IMAGE_NOT_FOUND if it cannot be read, and with IMAGE_TOO_LARGE beyond `limits`.
 */
export async function readImage(path: string, limits = IMAGE_LIMITS): Promise<Uint8Array> {
  if (path === '') throw new UpcallError('IMAGE_NOT_FOUND', 'the file name is empty', { remedy: 'Give a file' });
  try {
    return await host.readFile(path, limits);
  } catch (error) {
    if (error instanceof FileTooLargeError)
      throw new UpcallError('IMAGE_TOO_LARGE', `${path} has more than ${sizeText(error.limitBytes)}`, {
        remedy: error.isStream
          ? 'Give a file, or a pipe that ends before'
          : 'Give a kernel or a RAM disk that fits into the memory of a guest, not a disk image',
        cause: error,
      });
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UpcallError('IMAGE_NOT_FOUND', `cannot read ${path} (${reason})`, {
      remedy: 'Check the path and its permissions',
      cause: error,
    });
  }
}
