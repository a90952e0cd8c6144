/**
 * IoHandler: trapped access in, completed value out. One for each vCPU, in the vCPU's thread; it is
 * the only one that fills and releases that vCPU's slot.
 *
 * An access is answered by the hypervisor's own handlers if one matches; otherwise it becomes a
 * request: the slot is filled (step a), the upcall raised (step b) and the thread sleeps until the
 * slot is COMPLETE. The handler keeps its own copy of the request: of a completed slot it believes
 * nothing but `value`, so that a hostile page can change what the guest reads and nothing else. If
 * the VM is paused, reset or destroyed meanwhile, `VcpuStopped` is thrown through the core: the
 * access never happened for the guest, because that vCPU will not go on from there. If there can be
 * no request, `GeneralProtection` is thrown: the core gives its guest a #GP(0) at the instruction,
 * as ACRN does.
 */

import { Direction, IoRequestType } from '../io-request/layout.js';
import { highWord, lowWord, truncate } from '../io-request/io-request.js';
import type { Slot } from '../io-request/slot.js';
import { AdaptiveSpin } from '../sync/adaptive-spin.js';
import type { Doorbell } from '../sync/doorbell.js';
import { OrderedPoll } from '../sync/poll.js';
import { RingResult } from '../sync/shared-ring.js';
import { AnswerPoll } from './answer-poll.js';
import type { HandlerTables } from './hypervisor.js';
import { VmEventType } from './async-io-hypercalls.js';
import { STRADDLES } from './mmio-handlers.js';
import type { Upcall } from './upcall.js';
import { VcpuCounter, VmState, type VmSharedState } from './vm-shared-state.js';

/**
 * Thrown out of an access when the vCPU must not go on: its VM is no longer running. One object, so
 * that throwing allocates nothing.
 */
export class VcpuStopped extends Error {
  override readonly name = 'VcpuStopped';
}

/** Thrown out of an access that can neither be answered nor become a request. One object, too. */
export class GeneralProtection extends Error {
  override readonly name = 'GeneralProtection';
}

/**
 * A sleeping vCPU looks again this often even if nobody rings: a page that others write may change
 * without a ring.
 */
export const RECHECK_MS = 1000;

/**
 * How long a vCPU waits for room in a full ring of asynchronous I/O, and how often: a second in
 * all.
 */
const KICK_WAIT_MS = 1;
const MAX_KICK_WAITS = 1000;
/** PM1A control of an ACRN User VM, and what powers off there: SLP_EN with SLP_TYP 5. */
const PM1_CONTROL = 0x404;
const SLEEP_S5 = 0x3400;

export interface IoHandlerOptions {
  readonly vcpu: number;
  readonly slot: Slot;
  readonly upcall: Upcall;
  readonly shared: VmSharedState;
  readonly handlers: HandlerTables;
  readonly completionPolling: boolean;
  /**
   * How long the vCPU looks for its answer before it sleeps, in microseconds; adaptive unless
   * given.
   */
  readonly spinUs?: number | undefined;
}

export class IoHandler {
  readonly #vcpu: number;
  readonly #slot: Slot;
  readonly #upcall: Upcall;
  readonly #shared: VmSharedState;
  readonly #doorbell: Doorbell;
  readonly #handlers: HandlerTables;
  readonly #polling: boolean;
  readonly #stopped = new VcpuStopped('the VM is no longer running');
  readonly #protection = new GeneralProtection('no request can be made of the access');
  readonly #answer: AnswerPoll;
  readonly #spin: AdaptiveSpin;
  readonly #stop = new OrderedPoll(() => this.#shared.vmState !== VmState.RUNNING);

  /**
   * The value part of the private request. As in ACRN it is not cleared between accesses, so a read
   * carries the last value.
   */
  #valueLow = 0;
  #valueHigh = 0;

  constructor(options: IoHandlerOptions) {
    this.#vcpu = options.vcpu;
    this.#slot = options.slot;
    this.#upcall = options.upcall;
    this.#shared = options.shared;
    this.#doorbell = options.shared.doorbell(options.vcpu);
    this.#handlers = options.handlers;
    this.#polling = options.completionPolling;
    this.#answer = new AnswerPoll(options.slot, options.shared);
    this.#spin = new AdaptiveSpin({ fixedUs: options.spinUs });
  }

  /** The upper word of the last 8-byte `mmioRead`, as an int32. */
  get valueHigh(): number {
    return this.#valueHigh;
  }

  /** IN: `size` 1, 2 or 4. The value is unsigned and no wider than the access. */
  portRead(port: number, size: number): number {
    this.#shared.count(this.#vcpu, VcpuCounter.portAccesses);
    const handler = this.#handlers.ports.find(port);
    if (handler !== undefined) {
      const value = handler.read?.(port, size);
      if (value !== undefined) {
        this.#shared.count(this.#vcpu, VcpuCounter.answeredByHypervisor);
        return truncate(value, size);
      }
    }
    const ok = this.#request(IoRequestType.PORT, Direction.READ, port, 0, size);
    return truncate(ok ? this.#valueLow : -1, size);
  }

  /** OUT: `size` 1, 2 or 4; bits of `value` above the size are dropped, as ACRN does. */
  portWrite(port: number, size: number, value: number): void {
    this.#shared.count(this.#vcpu, VcpuCounter.portAccesses);
    const truncated = truncate(value, size);
    if (this.#handlers.ports.find(port)?.write?.(port, size, truncated) === true) {
      this.#shared.count(this.#vcpu, VcpuCounter.answeredByHypervisor);
      return;
    }
    this.#valueLow = truncated;
    this.#request(IoRequestType.PORT, Direction.WRITE, port, 0, size);
  }

  /**
   * A load of `size` 1, 2, 4 or 8 bytes. The value's low word, unsigned and no wider than the
   * access; the upper word is in `valueHigh`.
   */
  mmioRead(address: number, size: number): number {
    this.#shared.count(this.#vcpu, VcpuCounter.mmioAccesses);
    const handler = this.#handlers.mmio.find(address, size);
    if (handler === STRADDLES) this.#fault();
    if (handler !== undefined) {
      const value = handler.read(address, size);
      if (value !== undefined) {
        this.#shared.count(this.#vcpu, VcpuCounter.answeredByHypervisor);
        this.#valueHigh = highWord(value);
        return truncate(lowWord(value), size);
      }
    }
    const ok = this.#request(IoRequestType.MMIO, Direction.READ, lowWord(address), highWord(address), size);
    if (!ok) this.#valueHigh = -1;
    return truncate(ok ? this.#valueLow : -1, size);
  }

  /** A store of `size` 1, 2, 4 or 8 bytes; `high` is the upper word of an 8-byte one. */
  mmioWrite(address: number, size: number, low: number, high = 0): void {
    this.#store(IoRequestType.MMIO, address, size, low, high);
  }

  /**
   * A store to RAM that the hypervisor made read-only for the guest. The hypervisor's own handlers
   * take it as any store.
   */
  writeProtectedWrite(address: number, size: number, low: number, high = 0): void {
    this.#store(IoRequestType.WRITE_PROTECT, address, size, low, high);
  }

  #store(type: number, address: number, size: number, low: number, high: number): void {
    this.#shared.count(this.#vcpu, VcpuCounter.mmioAccesses);
    const handler = this.#handlers.mmio.find(address, size);
    if (handler === STRADDLES) this.#fault();
    if (handler?.write(address, size, low, high) === true) {
      this.#shared.count(this.#vcpu, VcpuCounter.answeredByHypervisor);
      return;
    }
    this.#valueLow = truncate(low, size) | 0;
    this.#valueHigh = size === 8 ? high : 0;
    this.#request(type, Direction.WRITE, lowWord(address), highWord(address), size);
  }

  /**
   * Steps a and b, the wait, and the release. False: the request was taken from under us; the guest
   * reads all ones.
   */
  #request(type: number, direction: number, addressLow: number, addressHigh: number, size: number): boolean {
    const slot = this.#slot;
    this.#answer.begin();
    if (!this.#shared.isRunning) throw this.#stopped;
    if (this.#shared.asyncIo.isActive && direction === Direction.WRITE && this.#kick(type, addressLow, addressHigh))
      return true;
    // ACRN: −EINVAL. The slot is not ours to fill; the other side broke the protocol.
    if (!slot.fill(type, direction, addressLow, addressHigh, size, this.#valueLow, this.#valueHigh, this.#polling))
      this.#fault();
    this.#shared.count(this.#vcpu, VcpuCounter.requests);
    this.#upcall.raise();
    for (;;) {
      if (this.#polling) this.#spin.spinUntil(this.#answer);
      else while (!this.#doorbell.wait(this.#answer, RECHECK_MS, this.#spin));
      // release() is the authoritative check. The poll before it may have been relaxed.
      if (slot.release()) return this.#take(type);
      if (this.#answer.isLost) return this.#takeBack();
    }
  }

  /**
   * A write that was assigned for asynchronous I/O: it is done when its handle is in the ring.
   * False: it is an ordinary one.
   */
  #kick(type: number, addressLow: number, addressHigh: number): boolean {
    const { asyncIo } = this.#shared;
    const handle = asyncIo.find(type, addressLow, addressHigh, this.#valueLow, this.#valueHighOf(type));
    if (handle === 0) return false;
    for (let wait = 0; asyncIo.kick(handle) === RingResult.BUSY; wait++) {
      // ACRN spins here for ever. The Service VM empties the ring at each upcall; without one the
      // kick is lost.
      if (wait === MAX_KICK_WAITS) {
        this.#shared.count(this.#vcpu, VcpuCounter.failed);
        return true;
      }
      this.#upcall.raise();
      this.#doorbell.wait(this.#stop, KICK_WAIT_MS);
      if (!this.#shared.isRunning) throw this.#stopped;
    }
    this.#upcall.raise();
    return true;
  }

  /**
   * ACRN's answer to a triple fault where the Service VM has set up the ring for VM events: the
   * event, then a write to the ACPI power register on the guest's behalf, so that the device model
   * sees an ordinary power-off.
   */
  powerOffAfterFault(): boolean {
    const { asyncIo } = this.#shared;
    if (!asyncIo.hasEventRing) return false;
    if (asyncIo.sendEvent(VmEventType.TRIPLE_FAULT)) this.#upcall.raise();
    try {
      this.portWrite(PM1_CONTROL, 2, SLEEP_S5);
    } catch (error) {
      if (!(error instanceof VcpuStopped || error instanceof GeneralProtection)) throw error;
    }
    return true;
  }

  /** The answer, out of the slot that was just released. */
  #take(type: number): true {
    // A vCPU of a VM that was paused meanwhile frees its slot and takes nothing out of it (ACRN's
    // zombie).
    if (!this.#shared.isRunning) throw this.#stopped;
    const slot = this.#slot;
    // After the move: it made sure that we see what was written before COMPLETE, and nobody writes
    // to a FREE slot.
    this.#valueLow = slot.valueLow;
    if (type === IoRequestType.MMIO) this.#valueHigh = slot.valueHigh;
    return true;
  }

  #takeBack(): false {
    if (!this.#shared.isRunning) throw this.#stopped;
    this.#slot.stampFree();
    this.#shared.count(this.#vcpu, VcpuCounter.failed);
    return false;
  }

  /** A port's value has 32 bits; the upper word may hold what an MMIO access left. */
  #valueHighOf(type: number): number {
    return type === IoRequestType.MMIO ? this.#valueHigh : 0;
  }

  #fault(): never {
    this.#shared.count(this.#vcpu, VcpuCounter.failed);
    throw this.#protection;
  }
}
