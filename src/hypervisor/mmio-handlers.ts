/**
 * MmioHandlerTable: the guest physical ranges that the hypervisor answers itself, without a
 * request.
 *
 * As in ACRN it is a table of 16 nodes. The lowest index that the access touches decides, even if a
 * later node contains all of the access. An access that straddles that node's edge is an error
 * (−EIO, a #GP in the guest) and is never forwarded.
 *
 * Called by: IoHandler, which asks for each MMIO access, and the files that register handlers.
 * Threads: the vCPU's, which has a table of its own.
 */

/** `CONFIG_MAX_EMULATED_MMIO_REGIONS`. */
export const MMIO_HANDLER_COUNT = 16;

export interface MmioHandler {
  /**
   * Returns the value read, unsigned and up to 53 bits wide, or undefined to forward the access.
   * Bits above the size are dropped.
   */
  read(address: number, size: number): number | undefined;
  /**
   * Returns false to forward the access. `low` and `high` are 32-bit words, signed or unsigned.
   * `high` counts only in an 8-byte write.
   */
  write(address: number, size: number, low: number, high: number): boolean;
}

interface Node {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly handler: MmioHandler;
}

/** What `find` returns for an access that straddles the edge of the deciding node. */
export const STRADDLES = 'straddles';

export class MmioHandlerTable {
  readonly #nodes: (Node | undefined)[] = Array.from({ length: MMIO_HANDLER_COUNT });
  /** The nodes in use, in index order. Every MMIO access of the guest goes through them. */
  #set: Node[] = [];

  /**
   * [start, end). Returns false for an empty range, or if the table is full: as in ACRN it is not
   * registered then.
   */
  register(start: number, end: number, handler: MmioHandler): boolean {
    const free = this.#nodes.indexOf(undefined);
    if (end <= start || free < 0) return false;
    this.#put(free, { start, end, handler });
    return true;
  }

  /** Frees the node with exactly this range. Returns false if no node has it. */
  unregister(start: number, end: number): boolean {
    const index = this.#nodes.findIndex((node) => node?.start === start && node.end === end);
    if (index < 0) return false;
    this.#put(index, undefined);
    return true;
  }

  /** The handler of an access of `size` bytes, or STRADDLES. Undefined: the access is forwarded. */
  find(address: number, size: number): MmioHandler | typeof STRADDLES | undefined {
    const end = address + size;
    for (const node of this.#set) {
      if (end <= node.start || address >= node.end) continue;
      return address >= node.start && end <= node.end ? node.handler : STRADDLES;
    }
    return undefined;
  }

  get isEmpty(): boolean {
    return this.#set.length === 0;
  }

  #put(index: number, node: Node | undefined): void {
    this.#nodes[index] = node;
    this.#set = this.#nodes.filter((one) => one !== undefined);
  }
}
