/**
 * SlotSampler: samples the current slots of a VM as a frame (slot-frame.ts). It copies the slots'
 * bytes from the VM's page of slots and adds the sidecars.
 *
 * Called by: LiveView, 60 times a second while a page watches the slots; `upcall top`.
 * Threads: samples in the Service VM's thread and stops no other thread. A change during the
 * copy is in the next frame. The buffer is reused: a frame is valid until the next `sample`.
 */

import { SLOT_BYTES, SLOT_COUNT } from '../io-request/layout.js';
import type { UserVm } from '../vm/user-vm.js';
import type { ClientList } from './client-list.js';
import { FrameKind, frameBytes, FrameOffset, Held, Sidecar, sidecarAt } from './protocol.js';

/**
 * Every Nth frame has all slots, the others those of the VM's vCPUs: nothing but a corrupted page
 * changes the rest.
 */
const ALL_SLOTS_EVERY = 15;

export class SlotSampler {
  readonly #vm: UserVm;
  readonly #clients: ClientList;
  readonly #bytes = new Uint8Array(frameBytes(SLOT_COUNT));
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #page: Uint8Array;
  /** By slot: the state in the last sample, and when a sample first had it. */
  readonly #states = new Int32Array(SLOT_COUNT).fill(-1);
  readonly #sinceMs = new Float64Array(SLOT_COUNT);
  #sequence = 0;
  #framesUntilAll = 0;

  constructor(vm: UserVm, clients: ClientList) {
    this.#vm = vm;
    this.#clients = clients;
    this.#page = vm.buffer.bytes;
  }

  /** Makes the next frame have all slots. */
  showAll(): void {
    this.#framesUntilAll = 0;
  }

  /** Returns the frame, in the buffer that the next call overwrites. */
  sample(): Uint8Array {
    const view = this.#view;
    const nowMs = performance.now();
    const { vcpuCount } = this.#vm.inspection;
    const isAll = this.#framesUntilAll === 0;
    this.#framesUntilAll = isAll ? ALL_SLOTS_EVERY - 1 : this.#framesUntilAll - 1;
    const slots = isAll ? SLOT_COUNT : vcpuCount;
    this.#sequence = (this.#sequence + 1) >>> 0;
    view.setUint8(FrameOffset.kind, FrameKind.SLOTS);
    view.setUint8(FrameOffset.vcpus, vcpuCount);
    view.setUint8(FrameOffset.slots, slots);
    view.setUint32(FrameOffset.sequence, this.#sequence, true);
    view.setFloat64(FrameOffset.timeMs, nowMs, true);
    this.#bytes.set(this.#page.subarray(0, slots * SLOT_BYTES), FrameOffset.firstSlot);
    for (let vcpu = 0; vcpu < slots; vcpu++) this.#writeSidecar(vcpu, sidecarAt(vcpu, slots), nowMs);
    for (const { vcpu, at } of this.#vm.debugger.stops) {
      const held = at === 'pending' ? Held.AT_PENDING : Held.BEFORE_COMPLETE;
      if (vcpu < slots) view.setUint8(sidecarAt(vcpu, slots) + Sidecar.held, held);
    }
    return this.#bytes.subarray(0, frameBytes(slots));
  }

  #writeSidecar(vcpu: number, at: number, nowMs: number): void {
    const view = this.#view;
    const { moves, atMs } = this.#vm.inspection.lastMove(vcpu);
    const { state } = this.#vm.buffer.slot(vcpu);
    // While moves are not recorded, the age counts from when the state was first sampled.
    if (this.#states[vcpu] !== state) this.#sinceMs[vcpu] = nowMs;
    this.#states[vcpu] = state;
    const sinceMs = atMs ?? this.#sinceMs[vcpu] ?? nowMs;
    view.setUint32(at + Sidecar.moves, moves, true);
    view.setUint16(at + Sidecar.client, this.#clients.ownerNumber(vcpu), true);
    view.setUint8(at + Sidecar.held, Held.NO);
    view.setFloat64(at + Sidecar.ageMs, Math.max(0, nowMs - sinceMs), true);
  }
}
