/**
 * CMOS contents: the battery-backed bytes as PC firmware leaves them. They hold the sizes of
 * memory, which SeaBIOS and old kernels read here, and a checksum over a part of the bytes.
 *
 * Called by: CmosRtc (cmos-rtc.ts), when it is created and at each reset.
 */

import { CmosIndex } from './cmos-rtc-registers.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Memory below the video memory at 0xA0000. */
const BASE_MEMORY_LIMIT_KIB = 640;
/** Bit 1 of the equipment byte. */
const COPROCESSOR = 0x02;

/** First and last byte that the checksum covers (IBM PC AT Technical Reference). */
const CHECKSUM_FIRST = 0x10;
const CHECKSUM_LAST = 0x2d;

/**
 * Stores the bytes of a machine with `memoryBytes` of RAM into `cmos`. `contents` by index: bytes
 * that only a certain firmware reads, e.g. its boot order.
 */
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
  // High byte first, unlike the words.
  cmos[CmosIndex.CHECKSUM] = sum >>> 8;
  cmos[CmosIndex.CHECKSUM + 1] = sum;
}

/** Low byte first. Larger values saturate. */
function storeWord(cmos: Uint8Array, index: number, value: number): void {
  const word = Math.max(0, Math.min(Math.floor(value), 0xffff));
  cmos[index] = word;
  cmos[index + 1] = word >>> 8;
}
