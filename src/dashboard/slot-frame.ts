/**
 * Slot frame: the layout of the binary messages from the live page's server to the page.
 * protocol.ts exports it to both sides.
 *
 * A frame of the slots is little-endian and has three parts: a header, the bytes of the first
 * `slots` slots exactly as they are in the VM's page of slots (io-request/layout.ts), and a sidecar
 * for each of them: 16 bytes with facts that are not in that page. Most frames have the slots of
 * the VM's vCPUs only. A message has up to FRAMES_PER_MESSAGE frames, one after the other.
 */

import { SLOT_BYTES } from '../io-request/layout.js';

/** The first byte of a binary message. */
export const FrameKind = { SLOTS: 1, CONSOLE: 2 } as const;

/** A console message: FrameKind.CONSOLE, then the guest's bytes. */
export const CONSOLE_HEADER_BYTES = 1;

/** Offsets in the header. */
export const FrameOffset = {
  kind: 0,
  /** u8: vCPUs of the VM. */
  vcpus: 1,
  /** u8: slots in this frame. */
  slots: 2,
  /**
   * u32: incremented for each frame sampled. A gap: frames in between were not sent to this page.
   */
  sequence: 4,
  /** f64: the server's clock, in ms. */
  timeMs: 8,
  firstSlot: 16,
} as const;

/** Offsets in a slot's sidecar. */
export const Sidecar = {
  /** u32 that wraps: transitions of this slot so far. */
  moves: 0,
  /** u16: index into `clients` of the slot's current or most recent client, or NO_CLIENT. */
  client: 4,
  /** u8: a value of `Held`. */
  held: 6,
  /** f64: ms since the slot entered its state. */
  ageMs: 8,
} as const;
export const SIDECAR_BYTES = 16;
/** The slot has had no client, or a client without a number. */
export const NO_CLIENT = 0xffff;
/** Whether the debugger holds the slot's request, and where. */
export const Held = { NO: 0, AT_PENDING: 1, BEFORE_COMPLETE: 2 } as const;

/** Limit of the frames in one message. The page draws one per screen refresh. */
export const FRAMES_PER_MESSAGE = 4;

/** Length of a frame with this many slots. */
export function frameBytes(slots: number): number {
  return FrameOffset.firstSlot + slots * (SLOT_BYTES + SIDECAR_BYTES);
}

/** Where slot `vcpu` is in a frame. */
export function slotAt(vcpu: number): number {
  return FrameOffset.firstSlot + vcpu * SLOT_BYTES;
}

/** Where the sidecar of slot `vcpu` is in a frame of `slots` slots. */
export function sidecarAt(vcpu: number, slots: number): number {
  return slotAt(slots) + vcpu * SIDECAR_BYTES;
}

/** The start and end of each frame in a message. An incomplete frame at the end is dropped. */
export function framesIn(message: Uint8Array): { readonly start: number; readonly end: number }[] {
  const frames: { readonly start: number; readonly end: number }[] = [];
  for (let start = 0; start + FrameOffset.firstSlot <= message.length;) {
    if (message[start + FrameOffset.kind] !== FrameKind.SLOTS) break;
    const end = start + frameBytes(message[start + FrameOffset.slots] as number);
    if (end > message.length) break;
    frames.push({ start, end });
    start = end;
  }
  return frames;
}
