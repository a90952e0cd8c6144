/** The binary frames of the live view (see protocol.ts, which exports them too): the slots, and the console's bytes. */

export const FrameKind = { SLOTS: 1, CONSOLE: 2 } as const;

/** A console frame: FrameKind.CONSOLE, then the guest's bytes as they are. */
export const CONSOLE_HEADER_BYTES = 1;

/** Slots of a page, of which a VM uses one for each vCPU. */
export const FRAME_SLOTS = 16;
/**
 * A slots frame is little-endian: this header, a record for each of the first slots, and the bytes of the inspected slot if
 * there is one. Sixty of them are made in a second: most have the slots of the VM's vCPUs only, some have all. A message has
 * up to FRAMES_PER_MESSAGE, one behind the other (page-connection.ts).
 */
export const FrameOffset = {
  kind: 0,
  /** u8: vCPUs that the VM has. */
  vcpus: 1,
  /** u8: slot whose SLOT_RAW_BYTES stand at the end, or NO_SLOT. */
  inspected: 2,
  /** u8: how many records there are. */
  records: 3,
  /** u32: one more for each frame that was made; a gap is one that was left out. */
  sequence: 4,
  /** f64: the server's clock, in ms. */
  timeMs: 8,
  firstRecord: 16,
} as const;
/** At most; the page draws one after the other. */
export const FRAMES_PER_MESSAGE = 4;
export const NO_SLOT = 255;
export const SLOT_RAW_BYTES = 256;

export const SLOT_RECORD_BYTES = 56;
export const SlotRecord = {
  /** u32: PENDING 0, COMPLETE 1, PROCESSING 2, FREE 3, as in `linux/acrn.h`; on a hostile page any number. */
  state: 0,
  /** u32: port 0, MMIO 1, PCI 2, write-protect 3. */
  type: 4,
  /** u32: read 0, write 1. */
  direction: 8,
  /** u32, bytes. */
  size: 12,
  /** u64; of a PCI request see `pci`. */
  address: 16,
  /** u64. */
  value: 24,
  /** f64: ms since the slot came into its state. */
  ageMs: 32,
  /** u16: index into `clients` of who has, or had last, the slot's request; NO_CLIENT. */
  client: 40,
  /** u8: `Held`. */
  held: 42,
  /** u8: 1 if a client of the kernel's has it, 0 for the default client. */
  kernelHandled: 43,
  /** u32 of a PCI request: bus << 20 | device << 15 | function << 12 | register. */
  pci: 44,
  /** u32 that wraps: moves of this slot so far. */
  moves: 48,
} as const;
export const NO_CLIENT = 0xffff;
export const Held = { NO: 0, AT_PENDING: 1, BEFORE_COMPLETE: 2 } as const;

/** The length of a frame without an inspected slot's bytes. */
export function slotsFrameBytes(records: number): number {
  return FrameOffset.firstRecord + records * SLOT_RECORD_BYTES;
}

/** Where each frame of a message begins and ends. What is no whole frame is left out. */
export function framesIn(message: Uint8Array): { readonly start: number; readonly end: number }[] {
  const frames: { readonly start: number; readonly end: number }[] = [];
  for (let start = 0; start + FrameOffset.firstRecord <= message.length;) {
    if (message[start + FrameOffset.kind] !== FrameKind.SLOTS) break;
    const raw = message[start + FrameOffset.inspected] === NO_SLOT ? 0 : SLOT_RAW_BYTES;
    const end = start + slotsFrameBytes(message[start + FrameOffset.records] as number) + raw;
    if (end > message.length) break;
    frames.push({ start, end });
    start = end;
  }
  return frames;
}
