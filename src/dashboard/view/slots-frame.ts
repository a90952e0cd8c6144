/**
 * The binary frame of the slots, as the page shows it: a SlotView for each of the first ones. The layout is protocol.ts'; a frame that is too
 * short is no frame.
 */

import { directionName, hex, typeName } from '../../io-request/io-request.js';
import { Direction, IoRequestType } from '../../io-request/layout.js';
import { ownerOf, stateName, type SlotOwner } from '../../io-request/state.js';
import {
  FrameKind,
  FrameOffset,
  Held,
  NO_CLIENT,
  NO_SLOT,
  SLOT_RAW_BYTES,
  SLOT_RECORD_BYTES,
  SlotRecord,
  slotsFrameBytes,
  type HoldPoint,
  type StateName,
} from '../protocol.js';

export interface SlotView {
  readonly vcpu: number;
  readonly state: StateName;
  readonly owner: SlotOwner;
  readonly ageNs: number;
  /** `port`, `mmio`, … */
  readonly type: string;
  readonly isWrite: boolean;
  readonly direction: string;
  readonly size: number;
  /** Hexadecimal, or a PCI place. */
  readonly address: string;
  readonly value: string;
  /** Index among the clients; undefined: nobody has or had it. */
  readonly client: number | undefined;
  readonly held: HoldPoint | undefined;
  /** Moves so far; 0: the slot was never used. */
  readonly moves: number;
}

export interface SlotsFrame {
  readonly sequence: number;
  readonly timeMs: number;
  readonly vcpus: number;
  /** The first ones: those of the VM's vCPUs, or all. */
  readonly slots: readonly SlotView[];
  readonly inspected: { readonly vcpu: number; readonly bytes: Uint8Array } | undefined;
}

export function decodeSlotsFrame(buffer: ArrayBuffer): SlotsFrame | undefined {
  if (buffer.byteLength < slotsFrameBytes(0)) return undefined;
  const view = new DataView(buffer);
  const records = view.getUint8(FrameOffset.records);
  const end = slotsFrameBytes(records);
  if (buffer.byteLength < end) return undefined;
  if (view.getUint8(FrameOffset.kind) !== FrameKind.SLOTS) return undefined;
  const inspected = view.getUint8(FrameOffset.inspected);
  const hasBytes = inspected !== NO_SLOT && buffer.byteLength >= end + SLOT_RAW_BYTES;
  return {
    sequence: view.getUint32(FrameOffset.sequence, true),
    timeMs: view.getFloat64(FrameOffset.timeMs, true),
    vcpus: view.getUint8(FrameOffset.vcpus),
    slots: Array.from({ length: records }, (_, vcpu) => slotView(view, vcpu)),
    inspected: hasBytes ? { vcpu: inspected, bytes: new Uint8Array(buffer, end, SLOT_RAW_BYTES) } : undefined,
  };
}

/** Those of `frames` that are worth drawing: of frames between which only the slots' ages change the last one shows it all. */
export function withoutRepeats(frames: readonly ArrayBuffer[]): ArrayBuffer[] {
  return frames.filter((frame, at) => {
    const next = frames[at + 1];
    return next === undefined || !repeats(new DataView(next), new DataView(frame));
  });
}

function repeats(later: DataView, earlier: DataView): boolean {
  const end = slotsFrameBytes(earlier.getUint8(FrameOffset.records));
  if (later.getUint8(FrameOffset.records) < earlier.getUint8(FrameOffset.records)) return false;
  for (let at: number = FrameOffset.firstRecord; at < end; at += 4) {
    const field = (at - FrameOffset.firstRecord) % SLOT_RECORD_BYTES;
    const isAge = field >= SlotRecord.ageMs && field < SlotRecord.ageMs + 8;
    if (!isAge && later.getUint32(at) !== earlier.getUint32(at)) return false;
  }
  return true;
}

function slotView(view: DataView, vcpu: number): SlotView {
  const at = FrameOffset.firstRecord + vcpu * SLOT_RECORD_BYTES;
  const u32 = (offset: number): number => view.getUint32(at + offset, true);
  const state = u32(SlotRecord.state);
  const type = u32(SlotRecord.type);
  const direction = u32(SlotRecord.direction);
  const client = view.getUint16(at + SlotRecord.client, true);
  return {
    vcpu,
    state: stateOf(state),
    owner: ownerOf(state),
    ageNs: view.getFloat64(at + SlotRecord.ageMs, true) * 1e6,
    type: typeName(type),
    isWrite: direction === Direction.WRITE,
    direction: directionName(direction),
    size: u32(SlotRecord.size),
    address:
      type === IoRequestType.PCI
        ? pciPlace(u32(SlotRecord.pci))
        : hex(view.getBigUint64(at + SlotRecord.address, true)),
    value: hex(view.getBigUint64(at + SlotRecord.value, true)),
    client: client === NO_CLIENT ? undefined : client,
    held: holdPoint(view.getUint8(at + SlotRecord.held)),
    moves: u32(SlotRecord.moves),
  };
}

function stateOf(state: number): StateName {
  const name = stateName(state);
  return name === 'FREE' || name === 'PENDING' || name === 'PROCESSING' || name === 'COMPLETE' ? name : 'UNKNOWN';
}

function holdPoint(held: number): HoldPoint | undefined {
  if (held === Held.AT_PENDING) return 'pending';
  return held === Held.BEFORE_COMPLETE ? 'complete' : undefined;
}

/** `00:1f.2+10`: bus, device, function, register. */
function pciPlace(word: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  return `${two(word >>> 20)}:${two((word >>> 15) & 0x1f)}.${(word >>> 12) & 7}+${(word & 0xfff).toString(16)}`;
}
