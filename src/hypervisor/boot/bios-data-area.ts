/**
 * The BIOS data areas as a PC's firmware leaves them at 0x400 and in the extended area: which ports
 * the devices of standardPc (the device model's set for a PC) are at, how much base memory there
 * is. Systems read them without calling a BIOS.
 *
 * There is no BIOS to keep them up to date. So the timer tick count (0x46C) stays 0, and the
 * keyboard buffer stays empty. No display is described.
 *
 * Called by: guest-image.ts.
 */

import type { Piece } from './load-plan.js';
import { BASE_MEMORY, EXTENDED_BIOS_DATA_BYTES } from './low-memory.js';

const DATA_AREA = 0x400;
const DATA_AREA_BYTES = 0x100;

/** Offsets in the area. */
const Field = {
  /** Four words, one for each port; 0 is no port. */
  serialPorts: 0x00,
  extendedAreaSegment: 0x0e,
  equipment: 0x10,
  baseMemoryKib: 0x13,
  /** Offsets in segment 0x40 of the next key to read, and of the next free place. */
  keyboardHead: 0x1a,
  keyboardTail: 0x1c,
  keyboardBufferStart: 0x80,
  keyboardBufferEnd: 0x82,
} as const;
const COM1 = 0x3f8;
/** Equipment: a coprocessor, and the number of serial ports from bit 9. */
const EQUIPMENT = (1 << 1) | (1 << 9);
const KEYBOARD_BUFFER = { start: 0x1e, end: 0x3e } as const;

export function biosDataAreas(): Piece[] {
  const bytes = new Uint8Array(DATA_AREA_BYTES);
  const view = new DataView(bytes.buffer);
  const put = (offset: number, value: number): void => view.setUint16(offset, value, true);
  put(Field.serialPorts, COM1);
  put(Field.extendedAreaSegment, BASE_MEMORY >>> 4);
  put(Field.equipment, EQUIPMENT);
  put(Field.baseMemoryKib, BASE_MEMORY >>> 10);
  put(Field.keyboardHead, KEYBOARD_BUFFER.start);
  put(Field.keyboardTail, KEYBOARD_BUFFER.start);
  put(Field.keyboardBufferStart, KEYBOARD_BUFFER.start);
  put(Field.keyboardBufferEnd, KEYBOARD_BUFFER.end);
  return [
    { what: 'BIOS data area', address: DATA_AREA, bytes },
    // The extended area begins with its size in KiB.
    {
      what: 'extended BIOS data area',
      address: BASE_MEMORY,
      bytes: Uint8Array.of(EXTENDED_BIOS_DATA_BYTES >>> 10),
      length: EXTENDED_BIOS_DATA_BYTES,
    },
  ];
}
