/**
 * MoveRecorder: records the moves (changes of a slot's state) that one thread makes, with a
 * SlotRecorder for each slot.
 *
 * Called by: each thread with a view of the page that makes moves: vCPUs, the Service VM, devices
 * in their own threads, and threads of ACRN userspace (acrn-hsm/userspace-thread.ts).
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { Slot } from '../io-request/slot.js';
import { SlotRecorder, type RecordingThread } from './slot-recorder.js';
import { BURST_MS } from './timestamp-sampling.js';
import type { TraceRing } from './trace-ring.js';

export interface MoveRecorderOptions {
  /**
   * Requests of a slot that are closer than this, in ms, are a burst, in which not every move has a
   * time (TimestampSampling). 0: every move has one. Default: BURST_MS.
   */
  readonly burstMs?: number;
  /** True in the thread of a client, which only finishes requests. Default: false. */
  readonly isOfClient?: boolean;
}

export class MoveRecorder implements RecordingThread {
  // See RecordingThread for these three.
  client = 0;
  isForced = false;
  readonly isOfClient: boolean;
  readonly #slots: readonly SlotRecorder[];

  constructor(ring: TraceRing, { burstMs = BURST_MS, isOfClient = false }: MoveRecorderOptions = {}) {
    this.isOfClient = isOfClient;
    this.#slots = Array.from({ length: SLOT_COUNT }, (_, vcpu) => new SlotRecorder(ring, vcpu, this, burstMs));
  }

  /**
   * Records the moves that are made through `slot` from now on. `slot` must be a view of this
   * thread's.
   */
  observe(slot: Slot): void {
    slot.observer = this.#slots[slot.vcpu];
  }

  /** See `SlotRecorder.timedProcessing`. */
  timedProcessing(vcpu: number): number | undefined {
    return this.#slots[vcpu]?.timedProcessing;
  }
}
