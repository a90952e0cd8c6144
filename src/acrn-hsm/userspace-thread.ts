/**
 * UserspaceThread: the ioctls ATTACH_IOREQ_CLIENT and NOTIFY_REQUEST_FINISH for a thread of ACRN
 * userspace that blocks, as the VM loop of acrn-dm does. It works on shared memory, without the
 * Service VM's thread.
 *
 * Called by: conformance/fixtures/userspace-loop.ts, a userspace loop in a thread of its own.
 *
 * Callers must: take `HsmFile.userspaceHandle` in the Service VM's thread, construct this in the
 * blocking thread, and read the slots from `handle.finisher.page`.
 */

import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { OrderedPoll } from '../sync/poll.js';
import { SharedWords } from '../sync/shared-words.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { RequestFinisher } from '../hsm/request-finisher.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { MoveRecorder } from '../trace/move-recorder.js';
import { AttachWords } from './attach-words.js';
import { Errno } from '../io-request/errno.js';
import type { UserspaceHandle } from './userspace-client.js';

export class UserspaceThread {
  readonly #words: AttachWords;
  /**
   * The HSM's ticket words. A slot's ticket is the number of its assignment, and its request is
   * pending while the HSM's word holds the ticket in AttachWords (hsm/request-finisher.ts).
   */
  readonly #tickets: SharedWords;
  readonly #finisher: RequestFinisher;
  readonly #slots: readonly Slot[];
  readonly #vcpuCount: number;
  /** Whether ATTACH may return. */
  readonly #isDue = new OrderedPoll(() => this.#words.isDestroyed || this.#hasPending());

  /**
   * `notifyRequestFinish` is the hypercall that wakes a vCPU, callable in this thread: a ring of
   * the vCPU's doorbell in `handle.finisher.shared`. It returns 0 or a negative error.
   */
  constructor(handle: UserspaceHandle, notifyRequestFinish: (vcpu: number) => number) {
    this.#words = new AttachWords(handle.words);
    this.#tickets = new SharedWords(handle.finisher.tickets);
    const buffer = new SharedBuffer(handle.finisher.page);
    const recorder = new MoveRecorder(new VmSharedState(handle.finisher.shared).trace, { isOfClient: true });
    for (const slot of buffer.slots) recorder.observe(slot);
    this.#slots = buffer.slots;
    this.#finisher = new RequestFinisher({
      buffer,
      tickets: this.#tickets,
      hypercalls: { notifyRequestFinish },
    });
    this.#vcpuCount = handle.vcpuCount;
  }

  /**
   * Blocks until a request is pending (0) or the client is destroyed (−ENODEV). A timeout gives 0,
   * as a signal does.
   */
  attach(timeoutMs = Infinity): number {
    this.#words.wait(this.#isDue, timeoutMs);
    return this.#words.isDestroyed ? Errno.ENODEV : 0;
  }

  /**
   * NOTIFY_REQUEST_FINISH: the answer is in the page. A slot that is not assigned to this client is
   * left alone. Returns −EINVAL for a vCPU that does not exist, otherwise the result of the
   * hypercall. Returns 0 if none was made, also for any vCPU once the client is removed.
   *
   * A thread that scans the page sees PROCESSING before ATTACH would return for it, and may answer
   * at once. So the slot itself shows whose it is: the HSM writes the ticket and `kernel_handled`
   * before the state. If the answer were refused here, the device would be accessed a second
   * time for it.
   */
  notify(vcpu: number): number {
    if (this.#words.isDestroyed) return 0;
    if (vcpu >= this.#vcpuCount) return Errno.EINVAL;
    const slot = this.#slots[vcpu] as Slot;
    if (slot.state !== IoRequestState.PROCESSING || slot.kernelHandled !== 0) return 0;
    return this.#finisher.finishAsIs(vcpu, this.#tickets.load(vcpu));
  }

  #hasPending(): boolean {
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
      const ticket = this.#words.ticket(vcpu);
      if (ticket !== 0 && this.#tickets.load(vcpu) === ticket) return true;
    }
    return false;
  }
}
