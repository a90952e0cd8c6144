/**
 * SlotSampler: the frame of the slots, as they are at this moment. It reads the shared page and a few words beside it, and
 * stops nobody: what changes while it reads is in the next frame. The frame is one buffer, used again for each.
 */

import { IoRequestType, SLOT_BYTES, SLOT_COUNT } from '../io-request/layout.js';
import type { SlotCopy } from '../io-request/slot.js';
import type { UserVm } from '../vm/user-vm.js';
import type { ClientList } from './client-list.js';
import {
  FrameKind,
  FrameOffset,
  Held,
  NO_SLOT,
  SLOT_RECORD_BYTES,
  SlotRecord,
  SLOT_RAW_BYTES,
  slotsFrameBytes,
} from './protocol.js';

/** Of so many frames one has all slots; the others have those of the VM's vCPUs. Nothing moves the rest but a stranger's hand. */
const ALL_SLOTS_EVERY = 15;

export class SlotSampler {
  readonly #vm: UserVm;
  readonly #clients: ClientList;
  readonly #bytes = new Uint8Array(slotsFrameBytes(SLOT_COUNT) + SLOT_RAW_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #page: Uint8Array;
  readonly #copy: SlotCopy = emptyCopy();
  readonly #states = new Int32Array(SLOT_COUNT).fill(-1);
  readonly #since = new Float64Array(SLOT_COUNT);
  #sequence = 0;
  #records = 0;
  #framesToAll = 0;

  constructor(vm: UserVm, clients: ClientList) {
    this.#vm = vm;
    this.#clients = clients;
    this.#page = new Uint8Array(vm.buffer.page);
  }

  /** The next frame has all slots. */
  showAll(): void {
    this.#framesToAll = 0;
  }

  /** Reads the slots; `frame` gives what was read. */
  sample(): void {
    const view = this.#view;
    const nowMs = performance.now();
    const { vcpuCount } = this.#vm.inspection;
    const isAll = this.#framesToAll === 0;
    this.#framesToAll = isAll ? ALL_SLOTS_EVERY - 1 : this.#framesToAll - 1;
    const records = (this.#records = isAll ? SLOT_COUNT : vcpuCount);
    this.#sequence = (this.#sequence + 1) >>> 0;
    view.setUint8(FrameOffset.kind, FrameKind.SLOTS);
    view.setUint8(FrameOffset.vcpus, vcpuCount);
    view.setUint8(FrameOffset.records, records);
    view.setUint32(FrameOffset.sequence, this.#sequence, true);
    view.setFloat64(FrameOffset.timeMs, nowMs, true);
    const held = new Uint8Array(SLOT_COUNT);
    for (const { vcpu, at } of this.#vm.debugger.stops)
      held[vcpu] = at === 'pending' ? Held.AT_PENDING : Held.BEFORE_COMPLETE;
    for (let vcpu = 0; vcpu < records; vcpu++) this.#putSlot(vcpu, nowMs, held[vcpu] as number);
  }

  /** The frame, with the bytes of slot `inspected` unless that is NO_SLOT. Valid until the next call of either. */
  frame(inspected: number): Uint8Array {
    this.#view.setUint8(FrameOffset.inspected, inspected);
    const end = slotsFrameBytes(this.#records);
    if (inspected === NO_SLOT) return this.#bytes.subarray(0, end);
    this.#bytes.set(this.#page.subarray(inspected * SLOT_BYTES, (inspected + 1) * SLOT_BYTES), end);
    return this.#bytes.subarray(0, end + SLOT_RAW_BYTES);
  }

  #putSlot(vcpu: number, nowMs: number, held: number): void {
    const view = this.#view;
    const at = FrameOffset.firstRecord + vcpu * SLOT_RECORD_BYTES;
    const slot = this.#vm.buffer.slot(vcpu);
    const copy = this.#copy;
    const { state, kernelHandled } = slot;
    slot.copyTo(copy);
    const { moves, atMs } = this.#vm.inspection.lastMove(vcpu);
    // While moves are not recorded, a slot's age is as old as what was seen here.
    if (this.#states[vcpu] !== state) this.#since[vcpu] = nowMs;
    this.#states[vcpu] = state;
    const sinceMs = atMs ?? this.#since[vcpu] ?? nowMs;
    view.setUint32(at + SlotRecord.state, state, true);
    view.setUint32(at + SlotRecord.type, copy.type, true);
    view.setUint32(at + SlotRecord.direction, copy.direction, true);
    view.setUint32(at + SlotRecord.size, copy.size, true);
    view.setUint32(at + SlotRecord.address, copy.addressLow, true);
    view.setUint32(at + SlotRecord.address + 4, copy.addressHigh, true);
    view.setUint32(at + SlotRecord.value, copy.valueLow, true);
    // Of a port the upper word is nothing, of PCI the bus.
    const isWide = copy.type !== IoRequestType.PORT && copy.type !== IoRequestType.PCI;
    view.setUint32(at + SlotRecord.value + 4, isWide ? copy.valueHigh : 0, true);
    view.setFloat64(at + SlotRecord.ageMs, Math.max(0, nowMs - sinceMs), true);
    view.setUint16(at + SlotRecord.client, this.#clients.ownerNumber(vcpu), true);
    view.setUint8(at + SlotRecord.held, held);
    view.setUint8(at + SlotRecord.kernelHandled, kernelHandled === 0 ? 0 : 1);
    const { bus, device, pciFunction, register } = copy;
    const place = ((bus & 0xff) << 20) | ((device & 31) << 15) | ((pciFunction & 7) << 12) | (register & 0xfff);
    view.setUint32(at + SlotRecord.pci, copy.type === IoRequestType.PCI ? place : 0, true);
    view.setUint32(at + SlotRecord.moves, moves, true);
  }
}

function emptyCopy(): SlotCopy {
  return {
    type: 0,
    direction: 0,
    addressLow: 0,
    addressHigh: 0,
    size: 0,
    sizeHigh: 0,
    valueLow: 0,
    valueHigh: 0,
    bus: 0,
    device: 0,
    pciFunction: 0,
    register: 0,
  };
}
