/**
 * KvmMemorySlots: the RAM of a VM as the kernel has it: one memory slot on each side of the screen
 * memory, and the log of the pages that are written in them (KVM_GET_DIRTY_LOG).
 *
 * Called by: KvmMachine; vm/snapshot/, as the VM's WriteLog.
 * Threads: the Service VM's.
 *
 * The kernel logs what vCPUs write, and what it writes itself for them. What this process writes,
 * from a program, a boot loader or a device, is in DirtyPages. Each of the two is cleared at the
 * start, before the first page is copied.
 *
 * A change of a slot's flags is one that the kernel allows while vCPUs run in the slot.
 *
 * Source: the kernel's "The Definitive KVM API Documentation".
 */

import type { KvmRegion } from '../../host/kvm-calls.js';
import { errorText } from '../../io-request/error-text.js';
import { PAGE_BYTES } from '../../io-request/layout.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { DirtyPages } from '../dirty-pages.js';
import { GuestMemory } from '../guest-memory.js';
import type { PageSet } from '../page-set.js';
import type { WriteLog } from '../write-log.js';
import type { Kernel } from './kernel.js';

/** A PC's screen memory: no RAM is there. */
export const SCREEN_START = 0xa_0000;
export const SCREEN_END = 0xc_0000;

export class KvmMemorySlots implements WriteLog {
  readonly memory: GuestMemory;
  readonly #kernel: Kernel;
  readonly #dirty: DirtyPages;
  readonly #regions: readonly KvmRegion[];
  #vm = -1;

  constructor(kernel: Kernel, memoryBytes: number) {
    this.#kernel = kernel;
    const buffer = kernel.calls.allocate(memoryBytes);
    const dirty = DirtyPages.create(memoryBytes);
    this.memory = new GuestMemory({ buffer, byteOffset: 0, byteLength: memoryBytes, dirty });
    this.#dirty = new DirtyPages(dirty);
    const region = (slot: number, start: number, end: number): KvmRegion => ({
      ...{ slot, guestAddress: start, memory: buffer, offset: start, bytes: end - start },
    });
    const low = region(0, 0, Math.min(memoryBytes, SCREEN_START));
    this.#regions = memoryBytes > SCREEN_END ? [low, region(1, SCREEN_END, memoryBytes)] : [low];
  }

  /** Makes the RAM that of the VM with descriptor `vm`. Throws with the request's error. */
  addTo(vm: number): void {
    this.#vm = vm;
    this.#setRegions(false);
  }

  start(): void {
    this.#orRefuse(() => this.#setRegions(true));
    this.#dirty.take(() => undefined);
  }

  take(into: PageSet): void {
    this.#orRefuse(() => {
      for (const region of this.#regions) this.#addLog(into, region);
    });
    this.#dirty.take((start) => into.add(start / PAGE_BYTES));
  }

  /** A slot that could not be changed goes on to log, which costs time and is no error. */
  stop(): void {
    for (const region of this.#regions) this.#kernel.calls.setRegion(this.#vm, region);
  }

  #addLog(into: PageSet, region: KvmRegion): void {
    const bitmap = this.#kernel.calls.takeLog(this.#vm, region);
    into.addBits(region.guestAddress / PAGE_BYTES, region.bytes / PAGE_BYTES, bitmap);
  }

  #setRegions(logsWrites: boolean): void {
    for (const region of this.#regions) {
      const result = this.#kernel.calls.setRegion(this.#vm, { ...region, logsWrites });
      if (result < 0) throw this.#kernel.error('KVM_SET_USER_MEMORY_REGION', -result);
    }
  }

  #orRefuse(work: () => void): void {
    try {
      work();
    } catch (error) {
      const fact = `the kernel does not log which pages are written: ${errorText(error).message}`;
      throw new UpcallError('SNAPSHOT_REFUSED', fact, { remedy: 'Save again', cause: error });
    }
  }
}
