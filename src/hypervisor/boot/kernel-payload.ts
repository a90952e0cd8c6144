/**
 * The compressed kernel inside a bzImage, unpacked on the host. The guest would take far longer:
 * several seconds for xz alone. With a format that compression.ts does not know, the bzImage boots
 * as it is and unpacks itself.
 *
 * Called by: guest-image.ts, and the command line, which keeps Debian's kernel unpacked.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { MAX_UNPACKED_BYTES, packedFormat, unpack } from './compression.js';
import { foreignElf } from './foreign-elf.js';
import { isElf32ForI386 } from './elf32.js';
import { isElf64ForX86 } from './elf64.js';
import { ImageReader } from './image-reader.js';
import { readSetupHeader } from './setup-header.js';
import { unsupported } from './unsupported-image.js';

/**
 * The kernel's build appends the unpacked size, except to a gzip stream, which ends with it anyway.
 */
const SIZE_BYTES = 4;

/**
 * Resolves with the ELF inside `image`, or with undefined for a payload of another kind or
 * packing. Rejects with IMAGE_UNSUPPORTED for a kernel of another processor, IMAGE_MALFORMED for a
 * damaged one, and IMAGE_TOO_LARGE for more than MAX_UNPACKED_BYTES.
 */
export async function unpackKernel(image: ImageReader, longMode = false): Promise<ImageReader | undefined> {
  const { payload } = readSetupHeader(image);
  if (payload === undefined) return undefined;
  const packed = new ImageReader(`${image.what}, compressed kernel`, image.slice(payload.offset, payload.length));
  const format = packedFormat(packed);
  if (format === undefined) return undefined;

  const size = packed.u32(packed.length - SIZE_BYTES);
  if (size > MAX_UNPACKED_BYTES)
    throw new UpcallError('IMAGE_TOO_LARGE', `${packed.what}: its header gives an unpacked size of ${size} bytes`, {
      remedy: `At most ${MAX_UNPACKED_BYTES} bytes are unpacked: check that the file is complete`,
    });
  const end = format.name === 'gzip' ? packed.length : packed.length - SIZE_BYTES;
  const stream = new ImageReader(packed.what, packed.slice(0, end));
  const unpacked = await unpack(stream, format, size, () =>
    packed.malformed(`it unpacks to more than the ${size} bytes of its header`),
  );
  if (unpacked === undefined) return undefined;
  if (unpacked.length !== size)
    throw packed.malformed(`it unpacks to ${unpacked.length} bytes, not to the ${size} of its header`);
  const vmlinux = new ImageReader('unpacked kernel', unpacked);
  const foreign = foreignElf(vmlinux, longMode);
  if (foreign !== undefined)
    throw unsupported({ ...foreign, what: `${image.what}: the kernel in it is ${foreign.what}` });
  return isElf32ForI386(vmlinux) || isElf64ForX86(vmlinux) ? vmlinux : undefined;
}
