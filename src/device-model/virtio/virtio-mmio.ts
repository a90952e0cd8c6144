/**
 * VirtioMmio: a virtio device at a range of memory, without PCI: for guests without PCI, and for
 * small drivers.
 *
 * Called by: DeviceClient. A program that uses the library attaches it with `UserVm.attach`. The
 * guest has to know of it, e.g. Linux by the parameter `virtio_mmio.device=512@0xd0000000:5`.
 * Threads: the device's.
 *
 * Source: virtio 1.2, section 4.2.2. Registers are 32 bits wide: other accesses read 0 and write
 * nothing. The configuration can be accessed with any width.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { AccessSize, Device, InterruptLine } from '../device.js';
import { RingMemory } from './ring-memory.js';
import type { VirtioDevice } from './virtio-device.js';
import { QueueAddress, VirtioState } from './virtio-state.js';

/** Bytes of the range, with 256 of configuration. */
export const VIRTIO_MMIO_BYTES = 0x200;

/** What the driver checks first: "virt". */
const MAGIC = 0x7472_6976;
const VERSION = 2;
/** "UPCL", as virtio leaves the vendor of a memory-mapped device to its maker. */
const VENDOR = 0x4c43_5055;
/** The length of a region of shared memory that does not exist. */
const NO_REGION = 0xffff_ffff;

const Register = {
  MAGIC: 0x000,
  VERSION: 0x004,
  DEVICE: 0x008,
  VENDOR: 0x00c,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SELECT: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SELECT: 0x024,
  QUEUE_SELECT: 0x030,
  QUEUE_SIZE_MAX: 0x034,
  QUEUE_SIZE: 0x038,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  REGION_LENGTH_LOW: 0x0b0,
  REGION_LENGTH_HIGH: 0x0b4,
  CONFIG_GENERATION: 0x0fc,
  CONFIG: 0x100,
} as const;

/** Halves of the selected queue's addresses, by the offsets of their registers. */
const ADDRESSES: ReadonlyMap<number, number> = new Map([
  [0x080, QueueAddress.DESCRIPTORS],
  [0x084, QueueAddress.DESCRIPTORS + 1],
  [0x090, QueueAddress.DRIVER],
  [0x094, QueueAddress.DRIVER + 1],
  [0x0a0, QueueAddress.DEVICE],
  [0x0a4, QueueAddress.DEVICE + 1],
]);

/** Bits of the interrupt status. */
const Interrupt = { QUEUE: 1, CONFIG: 2 } as const;

export interface VirtioMmioOptions {
  readonly device: VirtioDevice;
  readonly memory: GuestMemory;
  readonly line: InterruptLine;
  /** Offers the packed ring as well. Default: false. */
  readonly packed?: boolean;
  /** The device needs a reset. Default: ignored. */
  readonly onNeedsReset?: (reason: string) => void;
}

export class VirtioMmio implements Device {
  readonly name: string;
  readonly #device: VirtioDevice;
  readonly #line: InterruptLine;
  readonly #state: VirtioState;
  /** The interrupt status. The line is high while it is not 0. */
  #status = 0;

  constructor({ device, memory, line, packed = false, onNeedsReset = () => undefined }: VirtioMmioOptions) {
    this.name = device.name;
    this.#device = device;
    this.#line = line;
    this.#state = new VirtioState({
      device,
      packed,
      // This transport has no switch for bus mastering.
      memory: new RingMemory({ memory, isAllowed: () => true }),
      interruptQueue: () => this.#interrupt(Interrupt.QUEUE),
      interruptConfig: () => this.#interrupt(Interrupt.CONFIG),
      onNeedsReset,
    });
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= Register.CONFIG) return this.#state.readConfig(offset - Register.CONFIG, size);
    return size === 4 ? this.#readRegister(offset) : 0;
  }

  /** Reading has no side effect here. */
  peek(offset: number, size: AccessSize): number {
    return this.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= Register.CONFIG) this.#state.writeConfig(offset - Register.CONFIG, size, value);
    else if (size === 4) this.#writeRegister(offset, value);
  }

  reset(): void {
    this.#state.reset();
    this.#setStatus(0);
  }

  /**
   * Resets first: at the end of a VM only `close` is called (Device). Does not wait for a device
   * that has something to write: a Device's close returns at once.
   */
  close(): void {
    this.reset();
    void this.#device.close?.();
  }

  #readRegister(offset: number): number {
    const state = this.#state;
    const half = ADDRESSES.get(offset);
    if (half !== undefined) return state.queueAddress(half);
    switch (offset) {
      case Register.MAGIC:
        return MAGIC;
      case Register.VERSION:
        return VERSION;
      case Register.DEVICE:
        return this.#device.type;
      case Register.VENDOR:
        return VENDOR;
      case Register.DEVICE_FEATURES:
        return state.offeredFeatures;
      case Register.QUEUE_SIZE_MAX:
        return state.queueSizeMax;
      case Register.QUEUE_READY:
        return state.isQueueEnabled ? 1 : 0;
      case Register.INTERRUPT_STATUS:
        return this.#status;
      case Register.STATUS:
        return state.status;
      case Register.REGION_LENGTH_LOW:
      case Register.REGION_LENGTH_HIGH:
        return NO_REGION;
      case Register.CONFIG_GENERATION:
        return state.configGeneration;
      default:
        return 0;
    }
  }

  #writeRegister(offset: number, value: number): void {
    const state = this.#state;
    const half = ADDRESSES.get(offset);
    if (half !== undefined) state.setQueueAddress(half, value);
    else if (offset === Register.DEVICE_FEATURES_SELECT) state.deviceFeatureWord = value;
    else if (offset === Register.DRIVER_FEATURES_SELECT) state.driverFeatureWord = value;
    else if (offset === Register.DRIVER_FEATURES) state.acceptFeatures(value);
    else if (offset === Register.QUEUE_SELECT) state.queueSelect = value;
    else if (offset === Register.QUEUE_SIZE) state.setQueueSize(value);
    else if (offset === Register.QUEUE_READY) this.#setReady(value);
    else if (offset === Register.QUEUE_NOTIFY) state.notify(value);
    else if (offset === Register.INTERRUPT_ACK) this.#setStatus(this.#status & ~value);
    else if (offset === Register.STATUS) {
      state.writeStatus(value & 0xff);
      if (state.status === 0) this.#setStatus(0);
    }
  }

  #setReady(value: number): void {
    if (value === 1) this.#state.enableQueue();
    else if (value === 0) this.#state.disableQueue();
  }

  #interrupt(cause: number): void {
    this.#setStatus(this.#status | cause);
  }

  #setStatus(status: number): void {
    this.#status = status;
    this.#line.set(status !== 0);
  }
}
