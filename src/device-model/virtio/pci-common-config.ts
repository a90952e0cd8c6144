/**
 * CommonConfig: the common configuration structure of virtio over PCI, and the interrupt vectors
 * that the driver has chosen.
 *
 * Called by: virtio-pci-card.ts.
 *
 * Source: virtio 1.2, section 4.1.4.3. A driver must access a field by its own width, or a field of
 * 64 bits by its halves. Here reads of any width inside one aligned word of 32 bits are served too.
 * Other reads give 0, and other writes are ignored.
 */

import type { AccessSize } from '../device.js';
import type { RegisterDescription, RegisterMap } from '../register-map.js';
import { QueueAddress, type VirtioState } from './virtio-state.js';

/**
 * The vector of a source without interrupts. A vector that the card does not have is stored as
 * this.
 */
const NO_VECTOR = 0xffff;

/** Offsets of the fields in the structure. */
const Field = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  CONFIG_VECTOR: 0x10,
  QUEUE_COUNT: 0x12,
  STATUS: 0x14,
  CONFIG_GENERATION: 0x15,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_VECTOR: 0x1a,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFFSET: 0x1e,
  QUEUE_DESCRIPTORS: 0x20,
  QUEUE_DRIVER: 0x28,
  QUEUE_DEVICE: 0x30,
} as const;

/** The indices for VirtioState.queueAddress, by the offset of the half of an address. */
const ADDRESSES: ReadonlyMap<number, number> = new Map([
  [Field.QUEUE_DESCRIPTORS, QueueAddress.DESCRIPTORS],
  [Field.QUEUE_DESCRIPTORS + 4, QueueAddress.DESCRIPTORS + 1],
  [Field.QUEUE_DRIVER, QueueAddress.DRIVER],
  [Field.QUEUE_DRIVER + 4, QueueAddress.DRIVER + 1],
  [Field.QUEUE_DEVICE, QueueAddress.DEVICE],
  [Field.QUEUE_DEVICE + 4, QueueAddress.DEVICE + 1],
]);

const NAMES: readonly (readonly [
  name: string,
  offset: number,
  size: AccessSize,
  access: RegisterDescription['access'],
  meaning: string,
])[] = [
  ['device_feature_select', Field.DEVICE_FEATURE_SELECT, 4, 'rw', 'which 32 features device_feature shows'],
  ['device_feature', Field.DEVICE_FEATURE, 4, 'r', 'features that the device offers'],
  ['driver_feature_select', Field.DRIVER_FEATURE_SELECT, 4, 'rw', 'which 32 features driver_feature shows'],
  ['driver_feature', Field.DRIVER_FEATURE, 4, 'rw', 'features that the driver accepts'],
  ['config_msix_vector', Field.CONFIG_VECTOR, 2, 'rw', 'vector for changes of the configuration'],
  ['num_queues', Field.QUEUE_COUNT, 2, 'r', 'number of queues'],
  ['device_status', Field.STATUS, 1, 'rw', 'how far the driver is; 0 resets the device'],
  ['config_generation', Field.CONFIG_GENERATION, 1, 'r', 'changes with the configuration'],
  ['queue_select', Field.QUEUE_SELECT, 2, 'rw', 'which queue the fields below are of'],
  ['queue_size', Field.QUEUE_SIZE, 2, 'rw', 'entries of the queue'],
  ['queue_msix_vector', Field.QUEUE_VECTOR, 2, 'rw', 'vector of the queue'],
  ['queue_enable', Field.QUEUE_ENABLE, 2, 'rw', '1: the queue is in use'],
  ['queue_notify_off', Field.QUEUE_NOTIFY_OFFSET, 2, 'r', 'number of the notification register'],
  ['queue_desc_lo', Field.QUEUE_DESCRIPTORS, 4, 'rw', 'address of the descriptor area'],
  ['queue_desc_hi', Field.QUEUE_DESCRIPTORS + 4, 4, 'rw', 'its upper half'],
  ['queue_driver_lo', Field.QUEUE_DRIVER, 4, 'rw', 'address of the driver area'],
  ['queue_driver_hi', Field.QUEUE_DRIVER + 4, 4, 'rw', 'its upper half'],
  ['queue_device_lo', Field.QUEUE_DEVICE, 4, 'rw', 'address of the device area'],
  ['queue_device_hi', Field.QUEUE_DEVICE + 4, 4, 'rw', 'its upper half'],
];

export const commonRegisters: RegisterMap = {
  source: 'virtio 1.2, section 4.1.4.3',
  registers: NAMES.map(([name, offset, size, access, meaning]) => ({ offset, size, name, access, meaning })),
};

export class CommonConfig {
  /** The size of the structure. */
  static readonly BYTES = 0x38;
  readonly #vectors: number[];
  #configVector = NO_VECTOR;

  constructor(queues: number) {
    this.#vectors = Array.from({ length: queues }, () => NO_VECTOR);
  }

  /** The vector for changes of the configuration. Undefined: the driver wants no interrupt. */
  get configVector(): number | undefined {
    return this.#configVector === NO_VECTOR ? undefined : this.#configVector;
  }

  /** The vector of a queue. Undefined: the driver wants no interrupt. */
  vectorOf(queue: number): number | undefined {
    const vector = this.#vectors[queue] ?? NO_VECTOR;
    return vector === NO_VECTOR ? undefined : vector;
  }

  reset(): void {
    this.#configVector = NO_VECTOR;
    this.#vectors.fill(NO_VECTOR);
  }

  read(state: VirtioState, offset: number, size: AccessSize): number {
    // Every field lies in one word of 32 bits.
    if ((offset & 3) + size > 4 || offset >= CommonConfig.BYTES) return 0;
    const word = this.#readWord(state, offset & ~3) >>> (8 * (offset & 3));
    return size === 4 ? word : word & (2 ** (8 * size) - 1);
  }

  #readWord(state: VirtioState, offset: number): number {
    const half = ADDRESSES.get(offset);
    if (half !== undefined) return state.queueAddress(half);
    const pair = (low: number, high: number): number => (low | (high << 16)) >>> 0;
    switch (offset) {
      case Field.DEVICE_FEATURE_SELECT:
        return state.deviceFeatureWord;
      case Field.DEVICE_FEATURE:
        return state.offeredFeatures;
      case Field.DRIVER_FEATURE_SELECT:
        return state.driverFeatureWord;
      case Field.DRIVER_FEATURE:
        return state.acceptedFeatures;
      case Field.CONFIG_VECTOR:
        return pair(this.#configVector, state.queueCount);
      case Field.STATUS:
        return pair(state.status | (state.configGeneration << 8), state.queueSelect);
      case Field.QUEUE_SIZE:
        return pair(state.queueSize, this.#vectors[state.queueSelect] ?? NO_VECTOR);
      case Field.QUEUE_ENABLE:
        return pair(state.isQueueEnabled ? 1 : 0, state.queueSelect < state.queueCount ? state.queueSelect : 0);
      default:
        return 0;
    }
  }

  write(state: VirtioState, offset: number, size: AccessSize, value: number): void {
    const half = ADDRESSES.get(offset);
    if (half !== undefined && size === 4) state.setQueueAddress(half, value);
    else if (size === 4) writeSelector(state, offset, value);
    else if (size === 2) this.#writeHalf(state, offset, value);
    else if (offset === Field.STATUS) {
      // A reset of the device is also one of its vectors.
      if (value === 0) this.reset();
      state.writeStatus(value);
    }
  }

  #writeHalf(state: VirtioState, offset: number, value: number): void {
    const { queueSelect } = state;
    if (offset === Field.CONFIG_VECTOR) this.#configVector = this.#known(value);
    else if (offset === Field.QUEUE_SELECT) state.queueSelect = value;
    else if (offset === Field.QUEUE_SIZE) state.setQueueSize(value);
    else if (offset === Field.QUEUE_VECTOR && queueSelect < state.queueCount)
      this.#vectors[queueSelect] = this.#known(value);
    else if (offset === Field.QUEUE_ENABLE && value === 1) state.enableQueue();
  }

  /** The vector, or NO_VECTOR if the card does not have it: it has one more than queues. */
  #known(vector: number): number {
    return vector <= this.#vectors.length ? vector : NO_VECTOR;
  }
}

function writeSelector(state: VirtioState, offset: number, value: number): void {
  if (offset === Field.DEVICE_FEATURE_SELECT) state.deviceFeatureWord = value;
  else if (offset === Field.DRIVER_FEATURE_SELECT) state.driverFeatureWord = value;
  else if (offset === Field.DRIVER_FEATURE) state.acceptFeatures(value);
}
