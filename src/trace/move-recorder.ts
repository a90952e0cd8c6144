/**
 * MoveRecorder: writes the moves that one thread makes into a TraceRing, a SlotRecorder for each slot. Each view of the page
 * that makes moves has one: a vCPU's thread, the Service VM's thread, a device's thread.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { Slot } from '../io-request/slot.js';
import { BURST_MS } from './burst-pace.js';
import { SlotRecorder, type RecordingThread } from './slot-recorder.js';
import type { TraceRing } from './trace-ring.js';

export interface MoveRecorderOptions {
  /** BURST_MS unless given; 0: every move has its time. */
  readonly burstMs?: number;
  /** For the thread of a client, in which requests are finished and none is assigned. */
  readonly isOfClient?: boolean;
}

export class MoveRecorder implements RecordingThread {
  client = 0;
  isForced = false;
  readonly isOfClient: boolean;
  readonly #slots: readonly SlotRecorder[];

  constructor(ring: TraceRing, { burstMs = BURST_MS, isOfClient = false }: MoveRecorderOptions = {}) {
    this.isOfClient = isOfClient;
    this.#slots = Array.from({ length: SLOT_COUNT }, (_, vcpu) => new SlotRecorder(ring, vcpu, this, burstMs));
  }

  /** From now on the moves that are made through `slot`, a view of this thread's, are recorded. */
  watch(slot: Slot): void {
    slot.observer = this.#slots[slot.vcpu];
  }

  /** See SlotRecorder. */
  timed(vcpu: number): number | undefined {
    return this.#slots[vcpu]?.timed;
  }
}
