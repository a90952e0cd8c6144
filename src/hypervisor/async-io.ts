/**
 * AsyncIo: writes that are only a kick, completed by the hypervisor without a request. The Service
 * VM assigns descriptors. A vCPU whose write matches one puts the descriptor's handle into a ring,
 * raises the upcall and goes on.
 *
 * Called by: VmSharedState, which creates it. The Service VM calls it as Hypercalls.asyncIo;
 * AsyncKick calls `find` and `kick`, and power-off.ts `sendEvent`.
 *
 * Threads: the Service VM's thread changes the descriptors while vCPU threads read them. So there
 * are two tables: the one that is not in use is written, then GENERATION selects it. A reader that
 * finds the generation changed reads again.
 *
 * Handles are opaque numbers, never pointers: userspace can write to the ring.
 *
 * Source: ACRN's `asyncio` (types 1 port and 2 MMIO, 64 descriptors, newest first). ACRN compares
 * neither direction nor size. Here only writes match, because a core cannot leave the register of a
 * read as it was.
 *
 * Ordering: a ring's page is filled by plain stores and published by the store of its number of
 * elements. A vCPU loads that number before it touches the page. A descriptor table is stored
 * before GENERATION names it. A reader loads GENERATION, the table, and GENERATION again, all by
 * atomic loads: were they plain, a processor could delay them past the second load of GENERATION,
 * when the table is already being overwritten.
 */

import { Errno } from '../io-request/errno.js';
import { IoRequestType, PAGE_BYTES } from '../io-request/layout.js';
import { RingResult, SharedRing, ringElements } from '../sync/shared-ring.js';
import { SharedWords } from '../sync/shared-words.js';
import { RingId, type AsyncIoDescriptor, type AsyncIoHypercalls, type WriteEvent } from './async-io-hypercalls.js';

export const MAX_ASYNC_DESCRIPTORS = 64;
export const ASYNC_ELEMENT_BYTES = 8;
export const EVENT_ELEMENT_BYTES = 32;
/** Where the data of a `vm_event` begins, after its type. */
const EVENT_DATA = 4;
const EVENT_DATA_BYTES = EVENT_ELEMENT_BYTES - EVENT_DATA;

/** HYPERCALL_REFUSED (hypercalls.ts, which depends on this file). */
const REFUSED = Errno.EPERM;
// Indices of words.
/** Elements of each ring as agreed at its set-up, or 0 before it is set up. */
const ASYNC_ELEMENTS = 0;
const EVENT_ELEMENTS = 1;
/** 1 while a thread puts something into one of the rings. */
const LOCK = 2;
/** Number of the current table. Its lowest bit is the place of that table. */
const GENERATION = 3;
const TABLES = 4;
// Indices within a table: the number of its descriptors, then the descriptors.
const COUNT = 0;
const FIRST = 1;
// Indices within a descriptor.
const TYPE = 0;
const ADDRESS_LOW = 1;
const ADDRESS_HIGH = 2;
/** 0: any value matches. */
const HAS_DATA = 3;
const DATA_LOW = 4;
const DATA_HIGH = 5;
const HANDLE = 6;
const DESCRIPTOR_WORDS = 7;
const TABLE_WORDS = FIRST + MAX_ASYNC_DESCRIPTORS * DESCRIPTOR_WORDS;
const WORDS = TABLES + 2 * TABLE_WORDS;
/** Tries for a table that keeps changing. Then the write becomes an ordinary request. */
const MAX_POLLS = 16;
/**
 * Tries for the lock, which its holder keeps for some ten instructions. They count only while this
 * thread runs, and take some ten milliseconds: a holder that was preempted runs on before. One that
 * was terminated never does.
 */
const MAX_LOCK_TRIES = 1_000_000;

/**
 * Completes writes by their descriptors' eventfds, before a vCPU's thread sees them. What it does
 * not complete comes to AsyncIo. Implementation: kvm/kvm-event-fds.ts.
 */
export interface CompletedWrites {
  assign(descriptor: AsyncIoDescriptor): void;
  /** `descriptor`: the object that was assigned. */
  deassign(descriptor: AsyncIoDescriptor): void;
  /** As AsyncIoHypercalls.createEvent. */
  createEvent(onWrites: (count: number) => void): WriteEvent | undefined;
  /** As AsyncIoHypercalls.drainEvents. */
  drainEvents(): void;
}

export interface AsyncIoHandle {
  readonly words: SharedArrayBuffer;
  readonly asyncRing: SharedArrayBuffer;
  readonly eventRing: SharedArrayBuffer;
}

export class AsyncIo implements AsyncIoHypercalls {
  readonly handle: AsyncIoHandle;
  /** Set by the owner. Default: all writes come here. */
  completed: CompletedWrites | undefined;
  readonly #words: SharedWords;
  /** The owner's list, newest first; empty in vCPU threads. */
  #descriptors: readonly AsyncIoDescriptor[] = [];
  readonly #element = new Int32Array(EVENT_ELEMENT_BYTES >> 2);
  /** The current object of each ring. Its page is always the same, its agreed size may change. */
  readonly #rings = new Map<RingId, { readonly ring: SharedRing; readonly elements: number }>();

  /**
   * Another thread's view by `handle`, or new words. `allocatePage`: of the rings, as VmConfig's.
   */
  constructor(
    handle?: AsyncIoHandle,
    allocatePage: (name: string) => SharedArrayBuffer = () => new SharedArrayBuffer(PAGE_BYTES),
  ) {
    this.handle = handle ?? {
      words: new SharedWords(WORDS).buffer,
      asyncRing: allocatePage('async-io'),
      eventRing: allocatePage('vm-events'),
    };
    this.#words = new SharedWords(this.handle.words);
  }

  /** Whether an async ring is set up; one plain load. */
  get isActive(): boolean {
    return this.#words.loadRelaxed(ASYNC_ELEMENTS) !== 0;
  }

  get hasEventRing(): boolean {
    return this.#words.loadRelaxed(EVENT_ELEMENTS) !== 0;
  }

  setupRing(id: RingId, page: Uint8Array): number {
    const isAsync = id === RingId.ASYNC_IO;
    const elements = ringElements(page, isAsync ? ASYNC_ELEMENT_BYTES : EVENT_ELEMENT_BYTES);
    if (elements === 0) return REFUSED;
    if (isAsync) {
      this.#words.store(ASYNC_ELEMENTS, 0);
      for (const descriptor of this.#descriptors) this.completed?.deassign(descriptor);
      this.#publish([]);
    }
    this.ringBytes(id).set(page.subarray(0, PAGE_BYTES));
    this.#words.store(isAsync ? ASYNC_ELEMENTS : EVENT_ELEMENTS, elements);
    return 0;
  }

  ringBytes(id: RingId): Uint8Array<SharedArrayBuffer> {
    return new Uint8Array(this.#ringBuffer(id), 0, PAGE_BYTES);
  }

  ring(id: RingId): SharedRing | undefined {
    const isAsync = id === RingId.ASYNC_IO;
    const elements = this.#words.load(isAsync ? ASYNC_ELEMENTS : EVENT_ELEMENTS);
    if (elements === 0) return undefined;
    // Called at every pass of the worker and for every kick.
    const known = this.#rings.get(id);
    if (known?.elements === elements) return known.ring;
    const ring = new SharedRing(this.#ringBuffer(id), isAsync ? ASYNC_ELEMENT_BYTES : EVENT_ELEMENT_BYTES, elements);
    this.#rings.set(id, { ring, elements });
    return ring;
  }

  /** Returns 0 even if it is not assigned: address 0, a conflict, or one too many. */
  assignAsyncIo(descriptor: AsyncIoDescriptor): number {
    const isTaken = this.#descriptors.some((other) => conflicts(other, descriptor));
    if (descriptor.address === 0n || isTaken || this.#descriptors.length >= MAX_ASYNC_DESCRIPTORS) return 0;
    this.#publish([descriptor, ...this.#descriptors]);
    this.completed?.assign(descriptor);
    return 0;
  }

  deassignAsyncIo(descriptor: AsyncIoDescriptor): number {
    const index = this.#descriptors.findIndex((other) => isSame(other, descriptor));
    const found = this.#descriptors[index];
    if (found === undefined) return 0;
    this.completed?.deassign(found);
    this.#publish(this.#descriptors.filter((other) => other !== found));
    return 0;
  }

  createEvent(onWrites: (count: number) => void): WriteEvent | undefined {
    return this.completed?.createEvent(onWrites);
  }

  drainEvents(): void {
    this.completed?.drainEvents();
  }

  /**
   * In a vCPU's thread: the handle of the first descriptor that a write matches. Returns 0 if no
   * descriptor matches, or if the table keeps changing. `type` is an IoRequestType. Address and
   * value are two int32 words each, as they are stored in the table.
   */
  find(type: number, addressLow: number, addressHigh: number, valueLow: number, valueHigh: number): number {
    for (let poll = 0; poll < MAX_POLLS; poll++) {
      const generation = this.#words.load(GENERATION);
      const handle = this.#scan(generation, type, addressLow, addressHigh, valueLow, valueHigh);
      if (this.#words.load(GENERATION) === generation) return handle;
    }
    return 0;
  }

  /** In a vCPU's thread. BUSY: the ring is full. A corrupt ring loses the kick, as in ACRN. */
  kick(handle: number): RingResult {
    // An element of this ring is a u64.
    this.#element[0] = handle;
    this.#element[1] = 0;
    return this.#put(RingId.ASYNC_IO);
  }

  /** In any thread. */
  sendEvent(type: number, data?: Uint8Array): boolean {
    this.#element.fill(0);
    this.#element[0] = type;
    if (data !== undefined) new Uint8Array(this.#element.buffer).set(data.subarray(0, EVENT_DATA_BYTES), EVENT_DATA);
    return this.#put(RingId.VM_EVENT) === RingResult.DONE;
  }

  #ringBuffer(id: RingId): SharedArrayBuffer {
    return id === RingId.ASYNC_IO ? this.handle.asyncRing : this.handle.eventRing;
  }

  /** Puts `#element` into a ring. CORRUPT also if the ring is not set up or stays locked. */
  #put(id: RingId): RingResult {
    let tries = 0;
    while (!this.#words.move(LOCK, 0, 1)) if (++tries > MAX_LOCK_TRIES) return RingResult.CORRUPT;
    const result = this.ring(id)?.put(this.#element) ?? RingResult.CORRUPT;
    this.#words.store(LOCK, 0);
    return result;
  }

  #scan(
    generation: number,
    type: number,
    addressLow: number,
    addressHigh: number,
    valueLow: number,
    valueHigh: number,
  ): number {
    const words = this.#words;
    const table = TABLES + (generation & 1) * TABLE_WORDS;
    const count = words.load(table + COUNT);
    for (let i = 0; i < count; i++) {
      const at = table + FIRST + i * DESCRIPTOR_WORDS;
      if (words.load(at + TYPE) !== type) continue;
      if (words.load(at + ADDRESS_LOW) !== addressLow || words.load(at + ADDRESS_HIGH) !== addressHigh) continue;
      const isWildcard = words.load(at + HAS_DATA) === 0;
      if (isWildcard || (words.load(at + DATA_LOW) === valueLow && words.load(at + DATA_HIGH) === valueHigh))
        return words.load(at + HANDLE);
    }
    return 0;
  }

  /** Writes the table that is not in use, then makes it the current one. */
  #publish(descriptors: readonly AsyncIoDescriptor[]): void {
    this.#descriptors = descriptors;
    const generation = this.#words.load(GENERATION) + 1;
    const table = TABLES + (generation & 1) * TABLE_WORDS;
    descriptors.forEach(({ isPort, address, data, handle }, i) => {
      const at = table + FIRST + i * DESCRIPTOR_WORDS;
      // In the order of the indices above.
      const fields = [
        isPort ? IoRequestType.PORT : IoRequestType.MMIO,
        Number(BigInt.asIntN(32, address)),
        Number(BigInt.asIntN(32, address >> 32n)),
        data === undefined ? 0 : 1,
        Number(BigInt.asIntN(32, data ?? 0n)),
        Number(BigInt.asIntN(32, (data ?? 0n) >> 32n)),
        handle,
      ];
      fields.forEach((field, word) => this.#words.store(at + word, field));
    });
    this.#words.store(table + COUNT, descriptors.length);
    this.#words.store(GENERATION, generation | 0);
  }
}

function conflicts(a: AsyncIoDescriptor, b: AsyncIoDescriptor): boolean {
  const isSamePlace = a.address === b.address && a.isPort === b.isPort;
  return isSamePlace && (a.data === undefined || b.data === undefined || a.data === b.data);
}

function isSame(a: AsyncIoDescriptor, b: AsyncIoDescriptor): boolean {
  return a.isPort === b.isPort && a.address === b.address && a.handle === b.handle && a.data === b.data;
}
