/**
 * IoHandler: the request path of one vCPU: trapped access in, completed value out.
 *
 * Called by: the vCPU's program, for each access that it traps; power-off.ts.
 * Callers must: let VcpuStopped and GeneralProtection pass through the core.
 * Threads: the vCPU's, which it blocks. No other thread fills or releases that vCPU's slot.
 *
 * If a handler of the hypervisor itself matches, it answers the access. Otherwise the access
 * becomes a request: the slot is filled (step a), the upcall raised (step b), and the thread spins,
 * then parks, until the slot is COMPLETE.
 *
 * The handler keeps a private copy of the request and takes nothing but `value` from a completed
 * slot. A hostile page can therefore change what the guest reads and nothing else.
 *
 * If the VM is paused, reset or destroyed meanwhile, VcpuStopped is thrown through the core. The
 * guest never sees half an access, because the vCPU does not resume from there. If the access
 * cannot become a request, GeneralProtection is thrown, and the core injects #GP(0), as ACRN does.
 */

import { Direction, IoRequestType } from '../io-request/layout.js';
import { highWord, lowWord, truncate } from '../io-request/io-request.js';
import type { Slot } from '../io-request/slot.js';
import { AdaptiveSpin } from '../sync/adaptive-spin.js';
import type { Doorbell } from '../sync/doorbell.js';
import type { PlacingWaker } from '../sync/waker.js';
import { AnswerPoll } from './answer-poll.js';
import { AsyncKick } from './async-kick.js';
import type { HandlerTables } from './hypervisor.js';
import { STRADDLES } from './mmio-handlers.js';
import type { Upcall } from './upcall.js';
import { VcpuCounter, type VmSharedState } from './vm-shared-state.js';

/**
 * Thrown out of an access if the VM is no longer running: the vCPU must not continue. One object
 * per handler, so that throwing allocates nothing.
 */
export class VcpuStopped extends Error {
  override readonly name = 'VcpuStopped';
}

/**
 * Thrown out of an access that can neither be answered nor become a request. One object per
 * handler, too. CoreInterrupts throws it for a WRMSR of reserved bits.
 */
export class GeneralProtection extends Error {
  override readonly name = 'GeneralProtection';
}

/**
 * Interval in milliseconds at which a parked vCPU polls without a ring: another writer may change
 * the page and ring no doorbell.
 */
export const RECHECK_MS = 1000;

export interface IoHandlerOptions {
  readonly vcpu: number;
  readonly slot: Slot;
  readonly upcall: Upcall;
  readonly shared: VmSharedState;
  readonly handlers: HandlerTables;
  readonly completionPolling: boolean;
  /** Microseconds that the vCPU spins for its answer before it parks. Default: adaptive. */
  readonly spinUs?: number | undefined;
  /** Of the vCPU's thread, where each thread of the VM has a CPU: it wakes others on theirs. */
  readonly waker?: PlacingWaker | undefined;
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
  readonly #protection = new GeneralProtection('the access cannot become a request');
  readonly #answer: AnswerPoll;
  readonly #spin: AdaptiveSpin;
  readonly #kick: AsyncKick;

  /**
   * The value of the vCPU's private request, as two int32. A write sets it before the request, an
   * answer sets it afterwards, and nothing clears it in between. The request of a read therefore
   * carries the value of the access before it, into a field that a client has no reason to read.
   *
   * That is ACRN's behaviour, kept because the page must be byte-compatible: there each vCPU has
   * one request structure, whose value is copied to the page whatever the direction. A client that
   * completes a read without setting a value makes the guest read the carried one.
   *
   * Port accesses leave the upper word as the last memory access set it.
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
    this.#spin = new AdaptiveSpin({ fixedUs: options.spinUs, waker: options.waker });
    this.#kick = new AsyncKick(options.vcpu, options.shared, options.upcall, this.#stopped);
  }

  /** The upper word of the last 8-byte `mmioRead`, as an int32. */
  get valueHigh(): number {
    return this.#valueHigh;
  }

  /** IN: `size` 1, 2 or 4. Returns an unsigned value, no wider than the access. */
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

  /** OUT: `size` 1, 2 or 4. Drops the bits of `value` above the size, as ACRN does. */
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
   * A load of `size` 1, 2, 4 or 8 bytes. Returns the low word, unsigned and no wider than the
   * access. The upper word is in `valueHigh`.
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

  /** A store of `size` 1, 2, 4 or 8 bytes. `high` is the upper word of an 8-byte store. */
  mmioWrite(address: number, size: number, low: number, high = 0): void {
    this.#store(IoRequestType.MMIO, address, size, low, high);
  }

  /**
   * A store to RAM that the hypervisor made read-only for the guest. The hypervisor's own handlers
   * see it like any other store.
   */
  writeProtectedWrite(address: number, size: number, low: number, high = 0): void {
    this.#store(IoRequestType.WRITE_PROTECT, address, size, low, high);
  }

  /** A store of type MMIO or WRITE_PROTECT. */
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
   * Steps a and b, the wait, and the release. Returns false if another writer left an invalid state
   * in the slot. The guest then reads all ones. Throws VcpuStopped and GeneralProtection.
   */
  #request(type: number, direction: number, addressLow: number, addressHigh: number, size: number): boolean {
    const slot = this.#slot;
    this.#answer.begin();
    if (!this.#shared.isRunning) throw this.#stopped;
    const isWrite = direction === Direction.WRITE;
    if (isWrite && this.#shared.asyncIo.isActive && this.#completeAsync(type, addressLow, addressHigh)) return true;
    // ACRN: −EINVAL. The slot is not FREE, so the other side broke the protocol.
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

  /** Completes a write by asynchronous I/O. Returns false if it has to become a request. */
  #completeAsync(type: number, addressLow: number, addressHigh: number): boolean {
    // A port's value has 32 bits. The upper word may hold what an MMIO access left.
    const valueHigh = type === IoRequestType.MMIO ? this.#valueHigh : 0;
    return this.#kick.send(type, addressLow, addressHigh, this.#valueLow, valueHigh);
  }

  /** Takes the answer out of the slot that was just released. */
  #take(type: number): true {
    // If the VM was paused meanwhile, the vCPU frees its slot and takes no value (ACRN's zombie).
    if (!this.#shared.isRunning) throw this.#stopped;
    const slot = this.#slot;
    // After release(): it orders this load after the stores before COMPLETE, and no client writes
    // to a FREE slot.
    this.#valueLow = slot.valueLow;
    if (type === IoRequestType.MMIO) this.#valueHigh = slot.valueHigh;
    return true;
  }

  /** Frees the slot of a lost request. */
  #takeBack(): false {
    if (!this.#shared.isRunning) throw this.#stopped;
    this.#slot.stampFree();
    this.#shared.count(this.#vcpu, VcpuCounter.failed);
    return false;
  }

  /** Counts the failure and throws the #GP. */
  #fault(): never {
    this.#shared.count(this.#vcpu, VcpuCounter.failed);
    throw this.#protection;
  }
}
