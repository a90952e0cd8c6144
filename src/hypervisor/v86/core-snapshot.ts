/**
 * CoreSnapshot: saves and restores the core's linear memory without the guest's RAM. The CPU's
 * registers, the compiler's tables and the core's heap are in it.
 *
 * Called by: Core, between two slices of the guest, or before its first.
 * Threads: the vCPU's.
 *
 * What is saved is the memory as it is, so that nothing of the core's state can be forgotten, and
 * the guest goes on as it would have. Translations are outside of that memory, in the function
 * table. So they are dropped before, and the guest's TLB with them, also in the VM that goes on:
 * both then run the same.
 *
 * A saved memory may be hostile. The core's code is WebAssembly: whatever its memory holds, it
 * stays within it, and at worst its vCPU ends as crashed. The few words that upcall itself relies
 * on are checked.
 */

import { SavedState, savedStateError } from '../../io-request/saved-state.js';
import type { GuestMemoryHandle } from '../guest-memory.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import { checkPages, placePages, takePages, type PageRange, type SparsePages } from '../sparse-pages.js';
import { MEMORY_PAGE_BYTES } from './core-ram.js';
import type { CoreExports } from './core-exports.js';
import { AddedOffset, CoreOffset } from './core-layout.js';
import { coreBytes, coreFields } from './core-memory.js';

const PAGE_BYTES = 4096;
/** What the core's heap may have grown by. Its compiler needs a few megabytes. */
const MAX_GROWTH_BYTES = 256 << 20;
/** Words that say where the RAM is: as Core has set them. */
const FIXED_WORDS = [CoreOffset.ramPointer, AddedOffset.ramEnd, AddedOffset.ramAboveScreen] as const;
const OWNER = 'vCPU 0';

export interface SavedCore {
  readonly guestMs: number;
  readonly isHaltedForever: boolean;
  readonly controllers: unknown;
}

export class CoreSnapshot {
  readonly #core: CoreExports;
  readonly #ram: PageRange;

  constructor(core: CoreExports, { byteOffset, byteLength }: GuestMemoryHandle) {
    this.#core = core;
    const end = Math.ceil((byteOffset + byteLength) / MEMORY_PAGE_BYTES) * MEMORY_PAGE_BYTES;
    this.#ram = { first: byteOffset / PAGE_BYTES, end: end / PAGE_BYTES };
  }

  /** No translation is being made. */
  save(core: SavedCore): SavedVcpu {
    this.#core.jit_clear_cache_js();
    this.#core.full_clear_tlb();
    const { buffer } = this.#core.memory;
    const { first, end } = this.#ram;
    const memory = takePages(coreBytes(buffer, 0, buffer.byteLength), (page) => page < first || page >= end);
    return { state: { ...core, bytes: buffer.byteLength }, memory };
  }

  /** Before the core has run. Throws SNAPSHOT_INVALID. */
  restore({ state, memory }: SavedVcpu): SavedCore {
    const from = new SavedState(OWNER, state);
    const pages = this.#checked(from, memory ?? { runs: [], pieces: [] });
    const words = coreFields(this.#core.memory.buffer, 0, this.#core.memory.buffer.byteLength);
    const fixed = FIXED_WORDS.map((offset) => words.getUint32(offset, true));
    const bytes = coreBytes(this.#core.memory.buffer, 0, this.#core.memory.buffer.byteLength);
    bytes.fill(0, 0, this.#ram.first * PAGE_BYTES);
    bytes.fill(0, this.#ram.end * PAGE_BYTES);
    placePages(bytes, pages);
    if (FIXED_WORDS.some((offset, index) => words.getUint32(offset, true) !== fixed[index]))
      throw savedStateError(OWNER, 'has RAM at another place');
    return {
      guestMs: from.number('guestMs'),
      isHaltedForever: from.boolean('isHaltedForever'),
      controllers: from.value('controllers'),
    };
  }

  /** Also makes the memory as large as the saved one. */
  #checked(from: SavedState, pages: SparsePages): SparsePages {
    const present = this.#core.memory.buffer.byteLength;
    const bytes = from.integer('bytes', present, present + MAX_GROWTH_BYTES);
    if (bytes % MEMORY_PAGE_BYTES !== 0) throw savedStateError(OWNER, `has ${bytes} bytes of memory`);
    checkPages(pages, OWNER, bytes, this.#ram);
    if (bytes > present) this.#core.memory.grow((bytes - present) / MEMORY_PAGE_BYTES);
    return pages;
  }
}
