/**
 * PortHandlerTable: the ports that the hypervisor answers itself, without a request.
 *
 * As in ACRN it is a fixed table, searched in index order. Only the port of the first byte is
 * tested, the size is ignored, and the first match ends the search. If its handler forwards the
 * access, a request is made.
 *
 * Called by: IoHandler, which asks for each port access, and the files that register handlers.
 * Threads: the vCPU's, which has a table of its own.
 */

/** The size of ACRN's table. */
export const PORT_HANDLER_COUNT = 23;

/** A method that is left out forwards all accesses. */
export interface PortHandler {
  /**
   * Returns the value read, or undefined to forward the access. Bits above the size are dropped.
   */
  read?(port: number, size: number): number | undefined;
  /** `value` is unsigned and no wider than the access. Returns false to forward the access. */
  write?(port: number, size: number, value: number): boolean;
}

interface Entry {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly handler: PortHandler;
}

export class PortHandlerTable {
  readonly #entries: (Entry | undefined)[] = Array.from({ length: PORT_HANDLER_COUNT });
  /** The entries in use, in index order. Every port access of the guest goes through them. */
  #set: Entry[] = [];

  /**
   * Overwrites entry `index`. Overlaps are not checked. An end of 0x10000 wraps to 0: such an entry
   * never matches. Throws RangeError for an index beyond the table.
   */
  register(index: number, base: number, length: number, handler: PortHandler): void {
    if (!(index >= 0 && index < PORT_HANDLER_COUNT))
      throw new RangeError(`port handler ${index}: 0…${PORT_HANDLER_COUNT - 1}`);
    this.#entries[index] = { start: base, end: (base + length) & 0xffff, handler };
    this.#set = this.#entries.filter((entry) => entry !== undefined);
  }

  find(port: number): PortHandler | undefined {
    for (const entry of this.#set) if (port >= entry.start && port < entry.end) return entry.handler;
    return undefined;
  }
}
