/**
 * Flat images: bytes that start running at their first byte, as `nasm -f bin` makes them. In real
 * mode at 0x7C00, where a PC's boot sector runs, or in flat 32-bit protected mode at 1 MiB.
 *
 * Called by: guest-image.ts. Both plans throw IMAGE_MALFORMED for an empty file, OPTION_INVALID for
 * an address out of range, and IMAGE_TOO_LARGE.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { FreeMemory } from './free-memory.js';
import { endOf, SCREEN_MEMORY, tooLarge, type LoadPlan } from './load-plan.js';
import { FLAT_GDT_BYTES, flatGdt, flatRegisters, HIGH_MEMORY } from './low-memory.js';

/** Where a PC's BIOS puts a boot sector. */
const BOOT_SECTOR = 0x7c00;
/** For a flat 32-bit image that sets up no stack of its own. */
const STACK_BYTES = 0x8000;

/** Loaded at `address` and entered there with CS 0; the stack grows down from the image. */
export function planRealModeImage(image: Uint8Array, address = BOOT_SECTOR): LoadPlan {
  checkNotEmpty(image);
  checkAddress(address, 0xffff);
  const piece = { what: 'image', address, bytes: image };
  if (endOf(piece) > SCREEN_MEMORY)
    throw new UpcallError('IMAGE_TOO_LARGE', `image of ${image.length} bytes does not fit into base memory`, {
      remedy: 'Use a flat 32-bit or a multiboot image',
    });
  return {
    pieces: [piece],
    registers: { mode: 'real', ip: address, esp: address, cs: { selector: 0 }, ds: { selector: 0 } },
  };
}

/** Loaded at `address` and entered there, with a small stack and the flat GDT. */
export function planFlat32Image(image: Uint8Array, memoryBytes: number, address = HIGH_MEMORY): LoadPlan {
  checkNotEmpty(image);
  checkAddress(address, 0xffff_ffff);
  const piece = { what: 'image', address, bytes: image };
  if (endOf(piece) > memoryBytes) throw tooLarge('image', endOf(piece), memoryBytes);
  const free = new FreeMemory(memoryBytes, [piece]);
  const gdt = free.take(FLAT_GDT_BYTES);
  const stack = free.take(STACK_BYTES);
  return { pieces: [flatGdt(gdt), piece], registers: { ...flatRegisters(gdt), ip: address, esp: stack + STACK_BYTES } };
}

function checkNotEmpty(image: Uint8Array): void {
  if (image.length === 0)
    throw new UpcallError('IMAGE_MALFORMED', 'image: the file is empty', { remedy: 'Build it again' });
}

function checkAddress(address: number, highest: number): void {
  if (!Number.isSafeInteger(address) || address < 0 || address > highest)
    throw new UpcallError('OPTION_INVALID', `load address ${address}: 0…0x${highest.toString(16)}`, {
      remedy: 'Give another load address',
    });
}
