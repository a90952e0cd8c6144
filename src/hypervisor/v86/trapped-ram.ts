/**
 * TrappedRam: traps stores to write-protected pages on a core that cannot trap single pages of RAM.
 *
 * Called by: trap-imports.ts with each trapped access to RAM, and Core, which calls `follow`
 * between two instructions of the guest and `translated` after each translation. V86Hypervisor asks
 * `canProtect`.
 *
 * The core traps every access at or above the size of its RAM, which is a word of its memory. While
 * pages are protected, that word is the address of the lowest of them. Accesses to the RAM from
 * there up then trap and come here, each within one page: the core splits those that cross one.
 * Loads, and stores to other pages, are done at once in the core's memory, as the core would have
 * done them. A store to a protected page becomes a request instead.
 */

import type { GuestMemoryHandle } from '../guest-memory.js';
import type { ProtectedPages } from '../protected-pages.js';
import type { CoreExports } from './core-exports.js';
import { coreFields, coreWords } from './core-memory.js';
import { CoreOffset } from './core-layout.js';

/** The protected pages, and the handler of stores to them, which is an IoHandler. */
export interface PageProtection {
  readonly pages: ProtectedPages;
  readonly handler: { writeProtectedWrite(address: number, size: number, low: number, high?: number): void };
}

const PAGE_SHIFT = 12;
/** The core traps these whatever its RAM is: a PC's window for graphics memory. */
const WINDOW_START = 0xa_0000;
const WINDOW_END = 0xc_0000;
/** Below, a trapped 16-bit load would look like a 16-bit IN (trap-imports.ts). */
const LOWEST = 0x1_0000;

/** Whether a core can trap stores to the page at `address`. */
export function canProtect(address: number): boolean {
  return address >= LOWEST && !(address >= WINDOW_START && address < WINDOW_END);
}

export class TrappedRam {
  readonly #protection: PageProtection;
  readonly #core: CoreExports;
  readonly #ram: DataView;
  readonly #end: number;
  readonly #memorySize: Int32Array;
  /**
   * For each page, the count of translations when it was last known to have none. Searching for
   * them takes the core long.
   */
  readonly #droppedAt: Uint32Array;
  /** Count of translations, from 1: a page whose entry is 0 may have some. */
  #translations = 1;
  /** Accesses from here to the end of the RAM trap. */
  #start: number;
  /** ProtectedPages.changes at the last `follow`. */
  #seen = 0;

  constructor(protection: PageProtection, core: CoreExports, { buffer, byteOffset, byteLength }: GuestMemoryHandle) {
    this.#protection = protection;
    this.#core = core;
    this.#ram = coreFields(buffer, byteOffset, byteLength);
    this.#end = byteLength;
    this.#memorySize = coreWords(buffer, CoreOffset.memorySize, 1);
    this.#start = byteLength;
    this.#droppedAt = new Uint32Array(byteLength >>> PAGE_SHIFT);
  }

  /** Whether pages were protected or freed since the last `follow`. One plain load. */
  get isBehind(): boolean {
    return this.#protection.pages.hasChangedSince(this.#seen);
  }

  /** Makes the core trap from the lowest page on that is protected now. */
  follow(): void {
    const { pages } = this.#protection;
    this.#seen = pages.changes;
    this.#start = Math.min(pages.lowest, this.#end);
    if ((this.#memorySize[0] as number) >>> 0 === this.#start) return;
    this.#memorySize[0] = this.#start;
    this.#core.full_clear_tlb();
  }

  /** The core has translated code of some page. */
  translated(): void {
    this.#translations = (this.#translations + 1) >>> 0;
  }

  /** Whether a trapped access is to RAM. */
  has(address: number): boolean {
    return address >= this.#start && address < this.#end && !(address >= WINDOW_START && address < WINDOW_END);
  }

  read(address: number, size: number): number {
    if (size === 4) return this.#ram.getInt32(address, true);
    return size === 2 ? this.#ram.getUint16(address, true) : this.#ram.getUint8(address);
  }

  /** A store within one page. Returns true if it became a request. */
  write(address: number, size: number, low: number, high: number): boolean {
    const { pages, handler } = this.#protection;
    if (pages.has(address)) {
      handler.writeProtectedWrite(address, size, low, high);
      return true;
    }
    if (size === 1) this.#ram.setUint8(address, low);
    else if (size === 2) this.#ram.setUint16(address, low, true);
    else this.#ram.setInt32(address, low, true);
    if (size === 8) this.#ram.setInt32(address + 4, high, true);
    const page = address >>> PAGE_SHIFT;
    if (this.#droppedAt[page] === this.#translations) return false;
    this.#droppedAt[page] = this.#translations;
    this.#core.jit_dirty_cache(address, address + size);
    return false;
  }
}
