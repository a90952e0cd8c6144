/**
 * A PC's firmware (SeaBIOS and its like), started at its reset vector instead of a kernel. It finds
 * the devices itself and brings its own tables.
 *
 * It lies where a PC shows it below 1 MiB. A PC shows it below 4 GiB as well, and its chipset can
 * replace the ROM below 1 MiB by RAM. Here that part is RAM from the start, and there is nothing
 * below 4 GiB.
 *
 * Called by: guest-image.ts.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { ImageReader } from './image-reader.js';
import type { LoadPlan } from './load-plan.js';
import { HIGH_MEMORY } from './low-memory.js';

/** Firmware is built in blocks of 64 KiB. */
const BLOCK = 0x1_0000;
/** From the end of the screen memory to 1 MiB. */
const ROOM = 0x4_0000;
/** The reset vector as a segment and an offset, 16 bytes below the end. */
const RESET_SEGMENT = 0xf000;
const RESET_OFFSET = 0xfff0;
const FAR_JUMP = 0xea;
/** In the build date, "MM/DD/YY". */
const SLASH = 0x2f;

/**
 * Whether the file has whole blocks, a far jump to segment F000 at the reset vector, and the two
 * slashes of the build date behind it.
 */
export function isFirmware(image: ImageReader): boolean {
  const end = image.length;
  return (
    end > 0 &&
    end % BLOCK === 0 &&
    image.u8(end - 16) === FAR_JUMP &&
    image.u16(end - 13) === RESET_SEGMENT &&
    image.u8(end - 9) === SLASH &&
    image.u8(end - 6) === SLASH
  );
}

/**
 * Throws IMAGE_MALFORMED if the file is empty or has no whole blocks, IMAGE_TOO_LARGE above 256
 * KiB.
 */
export function planFirmware(image: ImageReader): LoadPlan {
  if (image.length === 0 || image.length % BLOCK !== 0)
    throw image.malformed(`${image.length} bytes, and firmware has a multiple of 64 KiB`);
  if (image.length > ROOM)
    throw new UpcallError('IMAGE_TOO_LARGE', `firmware of ${image.length} bytes does not fit below 1 MiB`, {
      remedy: `Give at most ${ROOM} bytes, for example SeaBIOS' bios.bin`,
    });
  return {
    pieces: [{ what: 'firmware', address: HIGH_MEMORY - image.length, bytes: image.bytes }],
    registers: { mode: 'real', ip: RESET_OFFSET, cs: { selector: RESET_SEGMENT }, ds: { selector: 0 } },
  };
}
