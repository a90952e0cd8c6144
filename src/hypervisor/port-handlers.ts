/**
 * The ports that the hypervisor answers itself, before it makes a request.
 *
 * As in ACRN: a fixed table searched in index order; only the port of the first byte is tested and the size is ignored;
 * the first match ends the search. A handler may decline (return `FORWARD`), and then a request is made.
 */

/** `CONFIG`: ACRN's table has 23 entries. */
export const PORT_HANDLER_COUNT = 23;

export interface PortHandler {
  /** The value read, or undefined to forward the access. */
  read?(port: number, size: number): number | undefined;
  /** False to forward the access. */
  write?(port: number, size: number, value: number): boolean;
}

interface Entry {
  readonly start: number;
  readonly end: number;
  readonly handler: PortHandler;
}

export class PortHandlerTable {
  readonly #entries: (Entry | undefined)[] = Array.from({ length: PORT_HANDLER_COUNT });
  /** Those that are set, in index order: every port access of the guest goes through them. */
  #set: Entry[] = [];

  /** Overwrites entry `index`; overlaps are not checked. An end that reaches 0x10000 wraps to 0, so that such an entry never matches. */
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
