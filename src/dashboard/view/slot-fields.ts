/**
 * Slot fields: the 256 bytes of a slot as the fields of `struct acrn_io_request` (linux/acrn.h).
 * Also the rows of their hexadecimal dump. Any bytes have fields: other programs may write to the
 * page of slots.
 *
 * Called by: SlotPanel, the page's view of one slot.
 */

import { directionName, hex, joinWords, typeName } from '../../io-request/io-request.js';
import { IoRequestType, SLOT_BYTES, SLOT_OFFSET } from '../../io-request/layout.js';
import { stateName } from '../../io-request/state.js';
import { hasWideValue } from './slots-frame.js';

export interface SlotField {
  /** Its name in linux/acrn.h. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  /** Its value in hexadecimal. */
  readonly raw: string;
  /** What the value means, for example `port`. Empty if it has no name. */
  readonly meaning: string;
}

/** The fields, in the order of their offsets. `bytes` has at least SLOT_BYTES. */
export function slotFields(bytes: Uint8Array): SlotField[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SLOT_BYTES);
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const u64 = (offset: number): string => hex(view.getBigUint64(offset, true));
  const type = u32(SLOT_OFFSET.type);
  const isPci = type === IoRequestType.PCI;
  const word = (name: string, offset: number, meaning = ''): SlotField => ({
    name,
    offset,
    bytes: 4,
    raw: hex(u32(offset)),
    meaning,
  });
  const long = (name: string, offset: number, meaning = ''): SlotField => ({
    name,
    offset,
    bytes: 8,
    raw: u64(offset),
    meaning,
  });
  const size = joinWords(u32(SLOT_OFFSET.size), u32(SLOT_OFFSET.size + 4));
  return [
    word('type', SLOT_OFFSET.type, typeName(type)),
    word('completion_polling', SLOT_OFFSET.completionPolling),
    word('direction', SLOT_OFFSET.direction, directionName(u32(SLOT_OFFSET.direction))),
    long(isPci ? 'reserved' : 'address', SLOT_OFFSET.address),
    long('size', SLOT_OFFSET.size, [1, 2, 4, 8].includes(size) ? `${8 * size} bit` : ''),
    hasWideValue(type) ? long('value', SLOT_OFFSET.value) : word('value', SLOT_OFFSET.value),
    ...(isPci
      ? [
          word('bus', SLOT_OFFSET.pciBus),
          word('dev', SLOT_OFFSET.pciDevice),
          word('func', SLOT_OFFSET.pciFunction),
          word('reg', SLOT_OFFSET.pciRegister),
        ]
      : []),
    word('kernel_handled', SLOT_OFFSET.kernelHandled),
    word('processed', SLOT_OFFSET.state, stateName(u32(SLOT_OFFSET.state))),
  ];
}

/** Bytes per row of the dump. */
export const DUMP_COLUMNS = 8;

export interface DumpRow {
  /** Offset of its first byte. */
  readonly at: number;
  /**
   * DUMP_COLUMNS bytes as two digits each. Empty: this row and all rows up to the next are zero.
   */
  readonly bytes: readonly string[];
}

/**
 * Offsets of the rows with a field, which are always shown: the dump must not change its height.
 */
const FIELD_ROWS = new Set(Object.values(SLOT_OFFSET).map((offset) => offset - (offset % DUMP_COLUMNS)));

/** All bytes. Rows of zeros without a field are merged into one row without bytes. */
export function dumpRows(bytes: Uint8Array): DumpRow[] {
  const rows: DumpRow[] = [];
  for (let at = 0; at < bytes.length; at += DUMP_COLUMNS) {
    const row = bytes.subarray(at, at + DUMP_COLUMNS);
    if (FIELD_ROWS.has(at) || row.some((byte) => byte !== 0))
      rows.push({ at, bytes: Array.from(row, (byte) => byte.toString(16).padStart(2, '0')) });
    else if (rows.at(-1)?.bytes.length !== 0) rows.push({ at, bytes: [] });
  }
  return rows;
}
