/**
 * Player: the guest program guests/compare.asm from the host's side: the ROM image that starts it,
 * where its lists are in guest memory, and how steps and records are encoded.
 *
 * Called by: QemuMachine and QemuDevice.
 */

import type { Step } from '../step.js';

/** Guest physical addresses, as in guests/compare.asm. A 1 at GO_ADDRESS starts the list. */
export const GO_ADDRESS = 0x7000;
export const STEPS_ADDRESS = 0x9000;
export const RECORDS_ADDRESS = 0x10000;

/** The line that the guest pulses after each step: that of the second serial port. */
export const MARK_LINE = 3;

/** Kind in byte 0, port at 2 (u16), value to write or rounds of a wait at 4 (u32). */
const STEP_BYTES = 8;
/** Time-stamp counter (u64), then the value that was read (u32). */
export const RECORD_BYTES = 12;

/** Limit of the steps of a list. With a step for its end, the list fits below the records. */
export const MAX_STEPS = (RECORDS_ADDRESS - STEPS_ADDRESS) / STEP_BYTES - 1;

// Kinds of steps. They are offsets in the guest's jump table, by the size of the access.
const IN_KIND = { 1: 0, 2: 2, 4: 4 } as const;
const OUT_KIND = { 1: 6, 2: 8, 4: 10 } as const;
const DELAY_KIND = 12;
const END_KIND = 0xff;

/** Instructions of one round of the guest's delay loop, and so its nanoseconds. */
const ROUND_NS = 256;
/** Instructions between the time-stamp of a step and its access. */
const ACCESS_NS = 7;

const ROM_BYTES = 0x1_0000;
const RESET_VECTOR = 0xfff0;
/** A near jump from the reset vector over the end of the segment to its start. */
const JUMP_TO_START = [0xe9, 0x0d, 0x00] as const;

/** A ROM of 64 KiB that starts the guest program at power-on. */
export function romImage(program: Uint8Array): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES);
  rom.set(program);
  rom.set(JUMP_TO_START, RESET_VECTOR);
  return rom;
}

/** `port`: that of offset 0. Throws RangeError for more than MAX_STEPS steps. */
export function encodeSteps(steps: readonly Step[], port: number): Uint8Array {
  if (steps.length > MAX_STEPS) throw new RangeError(`a list of ${steps.length} steps: at most ${MAX_STEPS} fit`);
  const bytes = new Uint8Array(STEP_BYTES * (steps.length + 1));
  const view = new DataView(bytes.buffer);
  steps.forEach((step, index) => {
    const at = STEP_BYTES * index;
    if (step.kind === 'wait') {
      view.setUint8(at, DELAY_KIND);
      view.setUint32(at + 4, roundsOf(step.us), true);
      return;
    }
    view.setUint8(at, step.kind === 'read' ? IN_KIND[step.size] : OUT_KIND[step.size]);
    view.setUint16(at + 2, port + step.offset, true);
    if (step.kind === 'write') view.setUint32(at + 4, step.value, true);
  });
  view.setUint8(STEP_BYTES * steps.length, END_KIND);
  return bytes;
}

export interface PlayerRecord {
  /** When the access was made, or the wait was over, in ns since the machine started. */
  readonly timeNs: number;
  /** Of a read. */
  readonly value: number | undefined;
}

export function decodeRecords(bytes: Uint8Array<ArrayBuffer>, steps: readonly Step[]): PlayerRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return steps.map((step, index) => {
    const at = RECORD_BYTES * index;
    const startNs = Number(view.getBigUint64(at, true)) + ACCESS_NS;
    if (step.kind === 'wait') return { timeNs: startNs + ROUND_NS * roundsOf(step.us), value: undefined };
    if (step.kind === 'write') return { timeNs: startNs, value: undefined };
    // A narrow access leaves the upper bytes of EAX as they were, and the guest stores all of it.
    const value = step.size === 4 ? view.getUint32(at + 8, true) : view.getUint32(at + 8, true) % 2 ** (8 * step.size);
    return { timeNs: startNs, value };
  });
}

/** Rounds of the delay loop for a wait: at least as long, at least one. */
function roundsOf(us: number): number {
  return Math.max(1, Math.ceil((us * 1000) / ROUND_NS));
}
