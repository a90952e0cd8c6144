/**
 * VirtioState: a virtio device's status, features and queues, the same on every transport.
 *
 * Called by: a transport (virtio-pci-card.ts with pci-common-config.ts, virtio-mmio.ts), with what
 * the driver writes to its registers. Calls the device.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Source: virtio 1.2, sections 2.1, 2.2 and 3.1.
 */

import { ActiveDriver } from './active-driver.js';
import { packedProblem, PackedQueue } from './packed-queue.js';
import type { RingMemory } from './ring-memory.js';
import type { QueueSetup, RingQueue } from './ring-queue.js';
import { splitProblem, SplitQueue } from './split-queue.js';
import { queueView } from './queue-view.js';
import type { VirtioDevice } from './virtio-device.js';
import { featureViews, SHOWN_QUEUES, type VirtioView } from './virtio-view.js';

/** Bits of the device status. */
export const VirtioStatus = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Feature bits that this file and the rings implement: virtio 1.2, section 6. */
export const VirtioFeature = { INDIRECT: 28, EVENT_INDEX: 29, VERSION_1: 32, PACKED: 34 } as const;
const FEATURE_WORDS = 4;

/** Registers of one queue, as the driver has written them. Halves of addresses: u32. */
interface QueueRegisters {
  size: number;
  isEnabled: boolean;
  /** Low and high halves of the descriptor area, the driver area and the device area. */
  readonly halves: Uint32Array;
}

/** Where an address begins in QueueRegisters.halves: its low half, then its high half. */
export const QueueAddress = { DESCRIPTORS: 0, DRIVER: 2, DEVICE: 4 } as const;
const HALVES = 6;

export interface VirtioStateOptions {
  readonly device: VirtioDevice;
  /** Whether the packed ring is offered, too. */
  readonly packed: boolean;
  readonly memory: RingMemory;
  /** Interrupts the driver because of queue `index`. */
  readonly interruptQueue: (index: number) => void;
  /** Interrupts the driver because the configuration or the status has changed. */
  readonly interruptConfig: () => void;
  /** The device needs a reset. `reason`: a sentence part, for the operator. */
  readonly onNeedsReset: (reason: string) => void;
}

export class VirtioState {
  readonly device: VirtioDevice;
  /** What the driver has selected, set by the transport: a word of features, a queue. Any u32. */
  deviceFeatureWord = 0;
  driverFeatureWord = 0;
  queueSelect = 0;
  readonly #options: VirtioStateOptions;
  readonly #registers: readonly QueueRegisters[];
  readonly #offered: ReadonlySet<number>;
  readonly #accepted = new Uint32Array(FEATURE_WORDS);
  #status = 0;
  #configGeneration = 0;
  /** Undefined: the driver is not ready. */
  #driver: ActiveDriver | undefined;

  constructor(options: VirtioStateOptions) {
    const { device, packed } = options;
    const { INDIRECT, EVENT_INDEX, VERSION_1, PACKED } = VirtioFeature;
    this.device = device;
    this.#options = options;
    this.#offered = new Set([INDIRECT, EVENT_INDEX, VERSION_1, ...(packed ? [PACKED] : []), ...device.features]);
    this.#registers = device.queueSizes.map((size) => ({ size, isEnabled: false, halves: new Uint32Array(HALVES) }));
  }

  get status(): number {
    return this.#status;
  }

  /** Changes with the configuration. 8 bits. */
  get configGeneration(): number {
    return this.#configGeneration;
  }

  get queueCount(): number {
    return this.#registers.length;
  }

  /** The 32 features of word `deviceFeatureWord`. */
  get offeredFeatures(): number {
    return wordOf(this.#offered, this.deviceFeatureWord);
  }

  /** The 32 features of word `driverFeatureWord`. */
  get acceptedFeatures(): number {
    return this.#accepted[this.driverFeatureWord] ?? 0;
  }

  /** The size of the selected queue, or 0 if it does not exist. */
  get queueSize(): number {
    return this.#selected?.size ?? 0;
  }

  /** The largest size of the selected queue, or 0 if it does not exist. */
  get queueSizeMax(): number {
    return this.device.queueSizes[this.queueSelect] ?? 0;
  }

  get isQueueEnabled(): boolean {
    return this.#selected?.isEnabled ?? false;
  }

  /** `half`: an index of QueueRegisters.halves. */
  queueAddress(half: number): number {
    return this.#selected?.halves[half] ?? 0;
  }

  get view(): VirtioView {
    const { ram } = this.#options.memory;
    const isPacked = this.#has(VirtioFeature.PACKED);
    const queues = this.#registers.slice(0, SHOWN_QUEUES).map(({ size, isEnabled, halves }, index) => {
      const area = (half: number): bigint => (BigInt(halves[half + 1] ?? 0) << 32n) | BigInt(halves[half] ?? 0);
      const { DESCRIPTORS, DRIVER, DEVICE } = QueueAddress;
      const areas = { descriptors: area(DESCRIPTORS), driver: area(DRIVER), device: area(DEVICE) };
      return queueView(ram, { index, size, isEnabled, ...areas }, isPacked, this.#driver?.queue(index)?.positions);
    });
    const features = featureViews(this.device.type, this.#offered, this.#accepted);
    return { type: this.device.type, status: this.#status, features, queues, queueCount: this.queueCount };
  }

  writeStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const wanted = value & 0xff & ~VirtioStatus.NEEDS_RESET;
    const added = wanted & ~this.#status;
    // A driver must not clear a bit, so only those that are set count. The two are checked below.
    this.#status |= wanted & ~(VirtioStatus.FEATURES_OK | VirtioStatus.DRIVER_OK);
    if ((added & VirtioStatus.FEATURES_OK) !== 0 && this.#areFeaturesRight()) this.#status |= VirtioStatus.FEATURES_OK;
    const isReady = (added & VirtioStatus.DRIVER_OK) !== 0 && (this.#status & VirtioStatus.FEATURES_OK) !== 0;
    if (isReady) this.#activate();
  }

  /** Sets word `driverFeatureWord` of the accepted features. Ignored once FEATURES_OK is set. */
  acceptFeatures(word: number): void {
    const isOpen = (this.#status & VirtioStatus.FEATURES_OK) === 0;
    if (isOpen && this.driverFeatureWord < FEATURE_WORDS) this.#accepted[this.driverFeatureWord] = word;
  }

  /** Ignored for 0, for a size above queueSizeMax, and while the queue is enabled. */
  setQueueSize(size: number): void {
    const selected = this.#changeable;
    if (selected !== undefined && size >= 1 && size <= this.queueSizeMax) selected.size = size;
  }

  /** Ignored while the queue is enabled. `half`: an index of QueueRegisters.halves. */
  setQueueAddress(half: number, value: number): void {
    const selected = this.#changeable;
    if (selected !== undefined) selected.halves[half] = value;
  }

  /** Enables the selected queue. Ignored once the driver is ready. */
  enableQueue(): void {
    const selected = this.#changeable;
    if (selected !== undefined && (this.#status & VirtioStatus.DRIVER_OK) === 0) selected.isEnabled = true;
  }

  /** The device uses the selected queue no longer. */
  disableQueue(): void {
    const selected = this.#selected;
    if (selected === undefined) return;
    selected.isEnabled = false;
    this.#driver?.stopQueue(this.queueSelect);
  }

  /** The driver has made buffers available in queue `index`. Ignored if it is not enabled. */
  notify(index: number): void {
    if (this.#driver?.queue(index) !== undefined) this.device.notified(index);
  }

  readConfig(offset: number, size: number): number {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value += (this.device.config[offset + byte] ?? 0) * 2 ** (8 * byte);
    return value;
  }

  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset + size <= this.device.config.length) this.device.writeConfig?.(offset, size, value);
  }

  /** Called at the driver's reset, and at that of the machine. */
  reset(): void {
    const driver = this.#driver;
    this.#driver = undefined;
    this.#status = 0;
    this.deviceFeatureWord = this.driverFeatureWord = this.queueSelect = 0;
    this.#accepted.fill(0);
    this.#registers.forEach((queue, index) => {
      queue.size = this.device.queueSizes[index] ?? 0;
      queue.isEnabled = false;
      queue.halves.fill(0);
    });
    if (driver === undefined) return;
    // Stop first: buffers that the device gives back in its reset must not reach the driver.
    driver.stop();
    this.device.reset();
  }

  get #selected(): QueueRegisters | undefined {
    return this.#registers[this.queueSelect];
  }

  /** The selected queue, unless it is enabled. */
  get #changeable(): QueueRegisters | undefined {
    return this.#selected?.isEnabled === true ? undefined : this.#selected;
  }

  #areFeaturesRight(): boolean {
    const isOffered = this.#accepted.every((word, index) => (word & ~wordOf(this.#offered, index)) === 0);
    return isOffered && this.#has(VirtioFeature.VERSION_1);
  }

  #has(feature: number): boolean {
    return (((this.#accepted[feature >>> 5] ?? 0) >>> (feature & 31)) & 1) === 1;
  }

  #activate(): void {
    this.#status |= VirtioStatus.DRIVER_OK;
    const queues = new Map<number, RingQueue>();
    const driver = new ActiveDriver({
      queues,
      has: (feature) => this.#has(feature),
      configChanged: () => this.#changeConfig(),
      fail: (reason) => this.#needReset(reason),
    });
    this.#driver = driver;
    for (const [index, { isEnabled }] of this.#registers.entries()) {
      if (!isEnabled) continue;
      const queue = this.#createQueue(index, driver);
      if (queue === undefined) return;
      queues.set(index, queue);
    }
    this.device.activate(driver);
    for (const index of queues.keys()) this.notify(index);
  }

  /** Undefined if its set-up is invalid: the device then needs a reset. */
  #createQueue(index: number, driver: ActiveDriver): RingQueue | undefined {
    const { memory, interruptQueue } = this.#options;
    const { size, halves } = this.#registers[index] as QueueRegisters;
    const address = (half: number): number => (halves[half] as number) + (halves[half + 1] as number) * 2 ** 32;
    const setup: QueueSetup = {
      index,
      size,
      descriptors: address(QueueAddress.DESCRIPTORS),
      driver: address(QueueAddress.DRIVER),
      device: address(QueueAddress.DEVICE),
      hasEventIndex: this.#has(VirtioFeature.EVENT_INDEX),
    };
    const isPacked = this.#has(VirtioFeature.PACKED);
    const problem = isPacked ? packedProblem(memory, setup) : splitProblem(memory, setup);
    if (problem !== undefined) {
      driver.fail(`queue ${index} was enabled with ${problem}`);
      return undefined;
    }
    const options = {
      memory,
      interrupt: () => interruptQueue(index),
      onCorrupt: (reason: string) => driver.fail(reason),
    };
    return isPacked ? new PackedQueue(setup, options) : new SplitQueue(setup, options);
  }

  #changeConfig(): void {
    this.#configGeneration = (this.#configGeneration + 1) & 0xff;
    this.#options.interruptConfig();
  }

  #needReset(reason: string): void {
    this.#status |= VirtioStatus.NEEDS_RESET;
    this.#options.onNeedsReset(reason);
    this.#changeConfig();
  }
}

/** Features 32 * `word` and up, as bits. */
function wordOf(features: ReadonlySet<number>, word: number): number {
  let bits = 0;
  for (let bit = 0; bit < 32; bit++) if (features.has(32 * word + bit)) bits += 2 ** bit;
  return bits;
}
