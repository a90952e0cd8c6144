/**
 * The state of a VM of the kernel as a snapshot has it: of each vCPU its structures, and with those
 * of vCPU 0 the interrupt controllers and the clocks.
 *
 * Called by: KvmMachine.
 *
 * A saved state may be hostile. Here the lengths of its structures are checked, and which registers
 * it has. Their contents are for the kernel to judge, which refuses what no vCPU can have.
 */

import { SavedState } from '../../io-request/saved-state.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import { Bytes } from './kvm-abi.js';
import { haveSameRegisters, PART_NAMES, type PartName, type VcpuState } from './vcpu-state.js';

/** By their numbers. */
const CHIPS = ['first8259', 'second8259', 'ioApic'] as const;
const MAX_KHZ = 0xffff_ffff;

export interface MachineState {
  readonly vcpus: readonly VcpuState[];
  /** Each a struct kvm_irqchip. */
  readonly chips: readonly Uint8Array<ArrayBuffer>[];
  /** struct kvm_clock_data: the clock that guests read in their own memory. */
  readonly clock: Uint8Array<ArrayBuffer>;
  /** The rate of the time-stamp counters. */
  readonly tscKhz: number;
}

export function saveMachine({ vcpus, chips, clock, tscKhz }: MachineState): readonly SavedVcpu[] {
  const machine = {
    ...Object.fromEntries(CHIPS.map((name, number) => [name, textOf(chips[number] as Uint8Array)])),
    clock: textOf(clock),
    tscKhz,
  };
  return vcpus.map(({ parts, msrs }, vcpu) => ({
    state: {
      ...Object.fromEntries(PART_NAMES.map((name) => [name, textOf(parts[name])])),
      msrs: textOf(msrs),
      machine: vcpu === 0 ? machine : null,
    },
  }));
}

/**
 * `powerOn`: of each vCPU, whose saved state has the same form, and in the registers that are
 * `fixed` the same values. Throws SNAPSHOT_INVALID.
 */
export function readMachine(
  saved: readonly SavedVcpu[],
  powerOn: readonly VcpuState[],
  fixed: ReadonlySet<number>,
): MachineState {
  const states = saved.map(({ state }, vcpu) => new SavedState(`vCPU ${vcpu}`, state));
  const vcpus = powerOn.map((like, vcpu): VcpuState => {
    const from = states[vcpu] ?? new SavedState(`vCPU ${vcpu}`, undefined);
    const parts = PART_NAMES.map((name) => [name, bytesOf(from, name, like.parts[name].length)]);
    const msrs = bytesOf(from, 'msrs', like.msrs.length);
    if (!haveSameRegisters(msrs, like.msrs, fixed)) throw from.unexpected('msrs', 'the registers of this processor');
    return { parts: Object.fromEntries(parts) as Record<PartName, Uint8Array<ArrayBuffer>>, msrs };
  });
  const from = new SavedState('vCPU 0', states[0]?.value('machine'));
  const chips = CHIPS.map((name, number) => {
    const bytes = bytesOf(from, name, Bytes.IRQCHIP);
    if (new DataView(bytes.buffer).getUint32(0, true) !== number) throw from.unexpected(name, `chip ${number}`);
    return bytes;
  });
  return { vcpus, chips, clock: bytesOf(from, 'clock', Bytes.CLOCK), tscKhz: from.integer('tscKhz', 1, MAX_KHZ) };
}

function textOf(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

function bytesOf(from: SavedState, name: string, length: number): Uint8Array<ArrayBuffer> {
  const expected = `base64 of ${length} bytes`;
  const text = from.text(name, 4 * Math.ceil(length / 3));
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    throw from.unexpected(name, expected);
  }
  if (binary.length !== length) throw from.unexpected(name, expected);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
