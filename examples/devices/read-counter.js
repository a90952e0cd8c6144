// @ts-check
/**
 * A device of four ports that counts how often it was read. It knows its registers and nothing
 * else, so it runs in the Service VM's thread (my-device.js), in a thread of its own
 * (device-in-own-thread.js), and from the command line:
 *
 *     upcall run monitor --device examples/devices/read-counter.js@0x500+4,start=40
 *
 * and then, in the monitor: in8 500
 */
export default class ReadCounter {
  name = 'read-counter';
  #reads;

  /**
   * @param {import('upcall').DeviceContext} _context for devices that need a clock, guest memory or
   *   an interrupt line
   * @param {{ start?: number } | undefined} options
   */
  constructor(_context, options) {
    this.#reads = options?.start ?? 0;
  }

  /** @param {number} offset from the start of its range: 0 to 3 */
  read(offset) {
    // A guest may read any offset. An unknown register reads as all ones, as on a real bus.
    return offset === 0 ? this.#reads++ : 0xff;
  }

  /** @param {number} offset @param {import('upcall').AccessSize} _size @param {number} value */
  write(offset, _size, value) {
    if (offset === 0) this.#reads = value;
  }
}
