/**
 * What PC firmware has put into the battery-backed bytes of the CMOS by the time an operating system or a second-stage
 * firmware looks: the sizes of memory (SeaBIOS and old kernels read them here) and a checksum over the old part.
 */

import { CmosIndex } from './cmos-rtc-registers.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Memory below the video memory at 0xA0000. */
const BASE_MEMORY_LIMIT_KIB = 640;
const COPROCESSOR = 0x02;

/** The bytes that the checksum covers (IBM PC AT Technical Reference). */
const CHECKSUM_FIRST = 0x10;
const CHECKSUM_LAST = 0x2d;

/** `contents` by index, for what only a certain firmware wants to find, e.g. its boot order. */
export function storeFirmwareContents(
  cmos: Uint8Array,
  memoryBytes: number,
  contents: Readonly<Record<number, number>>,
): void {
  storeWord(cmos, CmosIndex.BASE_MEMORY, Math.min(memoryBytes / KIB, BASE_MEMORY_LIMIT_KIB));
  storeWord(cmos, CmosIndex.EXTENDED_MEMORY, (memoryBytes - MIB) / KIB);
  storeWord(cmos, CmosIndex.EXTENDED_MEMORY_FOUND, (memoryBytes - MIB) / KIB);
  storeWord(cmos, CmosIndex.MEMORY_ABOVE_16_MIB, (memoryBytes - 16 * MIB) / (64 * KIB));
  cmos[CmosIndex.EQUIPMENT] = COPROCESSOR;
  for (const [index, value] of Object.entries(contents)) cmos[Number(index)] = value;
  let sum = 0;
  for (let index = CHECKSUM_FIRST; index <= CHECKSUM_LAST; index++) sum += cmos[index] ?? 0;
  cmos[CmosIndex.CHECKSUM] = sum >>> 8;
  cmos[CmosIndex.CHECKSUM + 1] = sum;
}

/** Low byte first. What does not fit reads as the largest that does. */
function storeWord(cmos: Uint8Array, index: number, value: number): void {
  const word = Math.max(0, Math.min(Math.floor(value), 0xffff));
  cmos[index] = word;
  cmos[index + 1] = word >>> 8;
}
