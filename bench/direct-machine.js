// @ts-check
/**
 * The reference for the cost of the page: the same core and devices, but every access of the guest
 * is a plain call in the core's thread. No page, no Service VM, no other thread.
 */

import { product } from './product.js';

/** Time slice of the guest between turns of the event loop, which runs the devices' timers. */
const TURN_MS = 2;

/**
 * Runs a guest to its end.
 * @param {{ image: import('../dist/hypervisor/boot/guest-image.js').GuestImageOptions, memoryMiB: number, console: import('../dist/device-model/device.js').ByteSink }} options
 * @returns {Promise<number>} accesses
 */
export async function runDirectly({ image, memoryMiB, console: output }) {
  const { SystemClock } = await product('device-model/clock.js');
  const { PciBus } = await product('device-model/devices/pci/pci-bus.js');
  const { prepareGuestImage } = await product('hypervisor/boot/guest-image.js');
  const { GuestMemory } = await product('hypervisor/guest-memory.js');
  const { INTERRUPT_LINE_WORDS, InterruptLines } = await product('hypervisor/interrupt-lines.js');
  const { Core } = await product('hypervisor/v86/core.js');
  const { loadCoreImage } = await product('hypervisor/v86/core-image.js');
  const { HandlersFirst } = await product('hypervisor/v86/handlers-first.js');
  const { Doorbell } = await product('sync/doorbell.js');
  const { OrderedPoll } = await product('sync/poll.js');
  const { SharedWords } = await product('sync/shared-words.js');
  const { standardPc } = await product('vm/standard-pc.js');
  const guest = await prepareGuestImage(image);
  const bell = new Doorbell();
  const lines = new InterruptLines(new SharedWords(INTERRUPT_LINE_WORDS).buffer, bell);
  /** @type {(import('../dist/device-model/device.js').Device | undefined)[]} */
  const ports = new Array(0x10000);
  const bases = new Uint16Array(0x10000);
  const pci = new PciBus();
  let accesses = 0;
  let configAddress = 0;
  let isOff = false;

  /** @param {number} size */
  const ones = (size) => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);
  /**
   * An access of the data ports 0xCFC to 0xCFF, at the address that port 0xCF8 holds: bit 31
   * enables it, then bus, device, function and register from bits 16, 11, 8 and 0 on.
   * @param {number} port
   * @param {(bus: number, device: number, fn: number, register: number) => number | void} access
   */
  const config = (port, access) => {
    if (configAddress >>> 31 === 0) return 0xffff_ffff;
    const a = configAddress;
    return access((a >> 16) & 0xff, (a >> 11) & 0x1f, (a >> 8) & 7, (a & 0xfc) + (port - 0xcfc));
  };
  // The interrupt controllers are handlers of the hypervisor, here as behind the page.
  const handler = new HandlersFirst({
    /** @param {number} port @param {number} size */
    portRead(port, size) {
      accesses++;
      if (port === 0xcf8) return configAddress >>> 0;
      if (port >= 0xcfc && port < 0xd00)
        return (Number(config(port, (b, d, f, r) => pci.read(b, d, f, r, size))) & ones(size)) >>> 0;
      const device = ports[port];
      if (device === undefined) return ones(size);
      return (Number(device.read(port - Number(bases[port]), /** @type {1} */ (size))) & ones(size)) >>> 0;
    },
    /** @param {number} port @param {number} size @param {number} value */
    portWrite(port, size, value) {
      accesses++;
      if (port === 0xcf8) configAddress = value;
      else if (port >= 0xcfc && port < 0xd00) config(port, (b, d, f, r) => pci.write(b, d, f, r, size, value));
      else void ports[port]?.write(port - Number(bases[port]), /** @type {1} */ (size), value);
    },
    /** @param {number} _address @param {number} size */
    mmioRead(_address, size) {
      accesses++;
      return ones(size);
    },
    mmioWrite() {
      accesses++;
    },
  });

  const core = new Core({
    module: await loadCoreImage(),
    memoryBytes: memoryMiB * 2 ** 20,
    handler,
    handlers: handler.tables,
    lines,
  });
  const memory = new GuestMemory(core.memory);
  const machine = {
    clock: new SystemClock(),
    memory,
    power: { powerOff: () => void (isOff = true), reset: () => void (isOff = true) },
    /** @param {number} line */
    interruptLine: (line) => ({ set: (/** @type {boolean} */ high) => lines.set(line, high) }),
    /** @param {import('../dist/hsm/address-range.js').AddressRange} range @param {any} device */
    attach: (range, device) => {
      for (let port = Number(range.start); port <= Number(range.end); port++) {
        ports[port] = device;
        bases[port] = Number(range.start);
      }
      return () => undefined;
    },
    /** @param {any} address @param {any} fn */
    attachPci: (address, fn) => pci.add(address, fn),
  };
  standardPc(/** @type {any} */ (machine), { console: output });
  core.start(guest.load(memory));
  const change = new OrderedPoll(() => lines.changed || isOff);
  let turnAt = 0;
  while (!isOff) {
    // How long the guest halts. 0: it goes on, below 0: it halts with interrupts off.
    const haltedMs = core.run();
    if (haltedMs < 0) break;
    if (haltedMs > 0) await bell.waitAsync(change, haltedMs);
    else if (performance.now() > turnAt) {
      await new Promise((resolve) => setImmediate(resolve));
      turnAt = performance.now() + TURN_MS;
    }
  }
  return accesses;
}
