/**
 * LoadPlan: the pieces that go into guest memory before a vCPU starts, and the registers of its
 * start. Each loader of this folder makes one. A plan is checked before its first byte is written,
 * and may be loaded again after a reset.
 *
 * Pieces may neither overlap nor leave the RAM, which has a hole where a PC has its screen memory.
 * A piece may be longer than its bytes: the rest is zeroed.
 *
 * Called by: the loaders, and guest-image.ts, which checks and loads plans.
 */

import { hex } from '../../io-request/io-request.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { GuestMemory } from '../guest-memory.js';
import type { VcpuRegisters } from '../vcpu-registers.js';

export interface Piece {
  /** For messages: "kernel segment", "initrd". */
  readonly what: string;
  /** Guest physical. */
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Bytes in memory, at least `bytes.length`. Default: `bytes.length`. */
  readonly length?: number;
}

export interface LoadPlan {
  readonly pieces: readonly Piece[];
  readonly registers: VcpuRegisters;
}

const MIB = 0x10_0000;
/** A PC's screen memory: accesses go to a device, if there is one, and never to RAM. */
export const SCREEN_MEMORY = 0xa_0000;
const SCREEN_MEMORY_END = 0xc_0000;

/** The address after a piece's last byte. */
export function endOf(piece: Piece): number {
  return piece.address + (piece.length ?? piece.bytes.length);
}

export function overlap(a: Piece, b: Piece): boolean {
  return a.address < endOf(b) && b.address < endOf(a);
}

/** Throws UpcallError unless the plan can be loaded into `memoryBytes` of RAM. */
export function checkPlan(plan: LoadPlan, memoryBytes: number): void {
  const sorted = plan.pieces.filter((piece) => endOf(piece) > piece.address).sort((a, b) => a.address - b.address);
  const end = sorted.reduce((highest, piece) => Math.max(highest, endOf(piece)), 0);
  if (end > memoryBytes) throw tooLarge('image', end, memoryBytes);
  let below: Piece | undefined;
  for (const piece of sorted) {
    checkAgainstScreen(piece);
    if (below !== undefined && piece.address < endOf(below))
      throw new UpcallError(
        'IMAGE_MALFORMED',
        `${piece.what} at ${hex(piece.address)} overlaps ${below.what} at ${hex(below.address)}…${hex(endOf(below) - 1)}`,
        { remedy: 'Link the image to another address' },
      );
    below = piece;
  }
}

/** What is written there would be invisible to the guest. */
function checkAgainstScreen(piece: Piece): void {
  if (piece.address >= SCREEN_MEMORY_END || endOf(piece) <= SCREEN_MEMORY) return;
  throw new UpcallError(
    'IMAGE_UNSUPPORTED',
    `${piece.what} at ${hex(piece.address)}…${hex(endOf(piece) - 1)} lies over the screen memory of a PC, ` +
      `${hex(SCREEN_MEMORY)}…${hex(SCREEN_MEMORY_END - 1)}, where the VM has no RAM`,
    { remedy: `Link or load it to end below ${hex(SCREEN_MEMORY)} or to start at ${hex(MIB)}` },
  );
}

/** Checks the plan, which may throw, then writes it. Returns its registers. */
export function loadPlan(plan: LoadPlan, memory: GuestMemory): VcpuRegisters {
  checkPlan(plan, memory.size);
  for (const piece of plan.pieces) {
    memory.write(piece.address, piece.bytes);
    const rest = endOf(piece) - piece.address - piece.bytes.length;
    if (rest > 0) memory.fill(0, piece.address + piece.bytes.length, rest);
  }
  return plan.registers;
}

/** `what` needs RAM up to `end`, and there is less. */
export function tooLarge(what: string, end: number, memoryBytes: number): UpcallError {
  const needed = Math.ceil(end / MIB);
  return new UpcallError(
    'IMAGE_TOO_LARGE',
    `${what} needs ${needed} MiB of guest memory and the VM has ${(memoryBytes / MIB).toFixed(0)} MiB`,
    needed <= HIGHEST_RAM / MIB
      ? { remedy: `Give --memory ${needed} or more` }
      : { remedy: `A VM has at most ${HIGHEST_RAM / MIB} MiB: link the image lower` },
  );
}

/** As much RAM as a VM may have. Far above it are the windows of devices and the APICs. */
export const HIGHEST_RAM = 0x8000_0000;
