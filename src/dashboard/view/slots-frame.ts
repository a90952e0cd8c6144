/**
 * Slots frame: decodes a frame of the slots (slot-frame.ts) into one SlotView per slot. A slot may
 * have any bytes: other programs may write to the page of slots.
 *
 * Called by: the live page, and `upcall top`.
 */

import { directionName, hex, joinWords, typeName } from '../../io-request/io-request.js';
import { Direction, IoRequestType, SLOT_OFFSET } from '../../io-request/layout.js';
import { pciAddressName } from '../../io-request/pci-address.js';
import { ownerOf, stateName, type SlotOwner } from '../../io-request/state.js';
import {
  frameBytes,
  FrameKind,
  FrameOffset,
  Held,
  NO_CLIENT,
  Sidecar,
  SIDECAR_BYTES,
  sidecarAt,
  slotAt,
  type HoldPoint,
  type StateName,
} from '../protocol.js';

export interface SlotView {
  readonly vcpu: number;
  readonly state: StateName;
  readonly owner: SlotOwner;
  /** Time since the slot entered its state. */
  readonly ageNs: number;
  /** `port`, `mmio`, … */
  readonly type: string;
  readonly isWrite: boolean;
  readonly direction: string;
  readonly size: number;
  /** Hexadecimal, or a PCI address with the register. */
  readonly address: string;
  readonly value: string;
  /** Index into `clients`. Undefined if the slot has had no client, or one without a number. */
  readonly client: number | undefined;
  /** Where the debugger holds the request, if it does. */
  readonly held: HoldPoint | undefined;
  /** Transitions so far. 0: the slot was never used. */
  readonly moves: number;
  /** The slot as it is in the page of slots: SLOT_BYTES. */
  readonly bytes: Uint8Array;
}

export interface SlotsFrame {
  // The fields of FrameOffset.
  readonly sequence: number;
  readonly timeMs: number;
  readonly vcpus: number;
  /** Slots 0 to N - 1: those of the VM's vCPUs, or all. */
  readonly slots: readonly SlotView[];
}

/** Returns undefined if the frame is of another kind or too short. */
export function decodeSlotsFrame(frame: Uint8Array): SlotsFrame | undefined {
  if (frame.length < frameBytes(0)) return undefined;
  const view = viewOf(frame);
  const slots = view.getUint8(FrameOffset.slots);
  if (frame.length < frameBytes(slots) || view.getUint8(FrameOffset.kind) !== FrameKind.SLOTS) return undefined;
  return {
    sequence: view.getUint32(FrameOffset.sequence, true),
    timeMs: view.getFloat64(FrameOffset.timeMs, true),
    vcpus: view.getUint8(FrameOffset.vcpus),
    slots: Array.from({ length: slots }, (_, vcpu) =>
      slotView(vcpu, frame.subarray(slotAt(vcpu), slotAt(vcpu + 1)), viewOf(frame.subarray(sidecarAt(vcpu, slots)))),
    ),
  };
}

/**
 * Drops each frame that the next one repeats: it has the same slots, or more, with no other
 * difference than ages. Headers are not compared.
 */
export function withoutRepeats(frames: readonly Uint8Array[]): Uint8Array[] {
  return frames.filter((frame, index) => {
    const next = frames[index + 1];
    return next === undefined || !repeats(next, frame);
  });
}

export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Whether `later` has all slots of `earlier`, and they differ in nothing but their ages. */
function repeats(later: Uint8Array, earlier: Uint8Array): boolean {
  const slots = earlier[FrameOffset.slots] as number;
  const laterSlots = later[FrameOffset.slots] as number;
  if (laterSlots < slots) return false;
  const [first, end] = [FrameOffset.firstSlot, slotAt(slots)];
  if (!isSameBytes(later.subarray(first, end), earlier.subarray(first, end))) return false;
  for (let vcpu = 0; vcpu < slots; vcpu++) {
    const one = sidecarAt(vcpu, slots);
    const other = sidecarAt(vcpu, laterSlots);
    for (let offset = 0; offset < SIDECAR_BYTES; offset++) {
      const isAge = offset >= Sidecar.ageMs;
      if (!isAge && earlier[one + offset] !== later[other + offset]) return false;
    }
  }
  return true;
}

function slotView(vcpu: number, bytes: Uint8Array, sidecar: DataView): SlotView {
  const slot = viewOf(bytes);
  const u32 = (offset: number): number => slot.getUint32(offset, true);
  const state = u32(SLOT_OFFSET.state);
  const type = u32(SLOT_OFFSET.type);
  const direction = u32(SLOT_OFFSET.direction);
  const client = sidecar.getUint16(Sidecar.client, true);
  return {
    vcpu,
    state: stateOf(state),
    owner: ownerOf(state),
    ageNs: sidecar.getFloat64(Sidecar.ageMs, true) * 1e6,
    type: typeName(type),
    isWrite: direction === Direction.WRITE,
    direction: directionName(direction),
    size: joinWords(u32(SLOT_OFFSET.size), u32(SLOT_OFFSET.size + 4)),
    address: type === IoRequestType.PCI ? pciPlace(u32) : hex(slot.getBigUint64(SLOT_OFFSET.address, true)),
    value: hasWideValue(type) ? hex(slot.getBigUint64(SLOT_OFFSET.value, true)) : hex(u32(SLOT_OFFSET.value)),
    client: client === NO_CLIENT ? undefined : client,
    held: holdPoint(sidecar.getUint8(Sidecar.held)),
    moves: sidecar.getUint32(Sidecar.moves, true),
    bytes,
  };
}

/**
 * Whether the slot's value is that of its request. A read that is PENDING or PROCESSING has none in
 * the slot, even if it is held with an answer: the slot still has the value of an earlier access.
 */
export function hasValue({ isWrite, state }: SlotView): boolean {
  return isWrite || state === 'COMPLETE' || state === 'FREE';
}

/**
 * Whether the value has 64 bits. That of a port or PCI request has 32: the next word is the bus of
 * a PCI request.
 */
export function hasWideValue(type: number): boolean {
  return type === IoRequestType.MMIO || type === IoRequestType.WRITE_PROTECT;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function stateOf(state: number): StateName {
  const name = stateName(state);
  return name === 'FREE' || name === 'PENDING' || name === 'PROCESSING' || name === 'COMPLETE' ? name : 'UNKNOWN';
}

function holdPoint(held: number): HoldPoint | undefined {
  if (held === Held.AT_PENDING) return 'pending';
  return held === Held.BEFORE_COMPLETE ? 'complete' : undefined;
}

/** `00:1f.2+10`: bus, device, function and register. */
function pciPlace(u32: (offset: number) => number): string {
  const address = pciAddressName(u32(SLOT_OFFSET.pciBus), u32(SLOT_OFFSET.pciDevice), u32(SLOT_OFFSET.pciFunction));
  return `${address}+${u32(SLOT_OFFSET.pciRegister).toString(16)}`;
}
