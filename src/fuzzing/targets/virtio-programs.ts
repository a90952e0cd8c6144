/**
 * Target "virtio": random drivers of the virtio devices, over split and packed rings. A program
 * sets up queues, adds chains of descriptors, overwrites rings, notifies, resets, and lets time
 * pass.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: no device throws, nothing is written outside of RAM, registers fit their size, a
 * reset gives each register the value that it has in a new device, and after it no operation that
 * is still open changes the RAM.
 */

import { host } from '../../host/current.js';
import { VIRTIO_MMIO_BYTES } from '../../device-model/virtio/virtio-mmio.js';
import { expect, type FuzzTarget } from '../fuzz-target.js';
import { FuzzInput } from '../fuzz-input.js';
import { FuzzClock } from './fuzz-clock.js';
import { RAM_BYTES, VIRTIO_KINDS, VirtioMachine } from './virtio-machine.js';

const Register = {
  DRIVER_FEATURES: 0x20,
  DRIVER_FEATURES_SELECT: 0x24,
  DEVICE_FEATURES: 0x10,
  DEVICE_FEATURES_SELECT: 0x14,
  QUEUE_SELECT: 0x30,
  QUEUE_SIZE: 0x38,
  QUEUE_READY: 0x44,
  QUEUE_NOTIFY: 0x50,
  STATUS: 0x70,
  DESCRIPTORS: 0x80,
  DRIVER: 0x90,
  DEVICE: 0xa0,
} as const;
const REGISTERS = Object.values(Register);
/** Counts changes of the configuration, which a reset may be. */
const CONFIG_GENERATION = 0xfc;
// Bits of STATUS.
const ACKNOWLEDGE_AND_DRIVER = 3;
const FEATURES_OK = 8;
const DRIVER_OK = 4;

/**
 * RAM of each queue: 8 KiB for descriptors, then 4 KiB for each area of the ring, at these offsets.
 * After the queues are the buffers, from DATA on.
 */
const QUEUE_BYTES = 0x4000;
const QUEUES = 4;
const DRIVER_AREA = 0x2000;
const DEVICE_AREA = 0x3000;
const DATA = QUEUES * QUEUE_BYTES;
/** Of queues, in descriptors. */
const SIZES = [1, 4, 16];
/** Of buffers, in bytes. */
const LENGTHS = [1, 2, 10, 12, 16, 60, 512, 513, 1514, 4096, 0x1_0000];
const VALUES = [0, 1, 2, 3, 4, 7, 8, 15, 0x40, 0x80, 0xff, 0xffff, 0x1_0000, RAM_BYTES - 1, RAM_BYTES, 0xffff_ffff];
/** Turns that open operations get. */
const MAX_TURNS = 20;

export const virtioPrograms: FuzzTarget = {
  name: 'virtio',
  about: 'random drivers of the virtio devices',
  maxBytes: 1024,
  open: () => Promise.resolve({ run, close: () => undefined }),
};

async function run(bytes: Uint8Array): Promise<void> {
  const input = new FuzzInput(bytes);
  const clock = new FuzzClock();
  const machine = new VirtioMachine(input.pick(VIRTIO_KINDS), { clock, packed: input.below(2) === 1 });
  const fresh = registersOf(machine);
  const driver = new RandomDriver(machine, input);
  while (!input.isEmpty) await driver.step(clock);
  machine.mmio.reset();
  const afterReset = registersOf(machine);
  expect(afterReset === fresh, () => `registers after a reset: ${afterReset}, of a new device: ${fresh}`);
  expect(!machine.isInterrupting, 'the line is high after a reset');
  const before = machine.memory.read(0, RAM_BYTES);
  // Two turns at least: operations end in the first, and the device takes their results in the
  // next.
  for (let turn = 0; turn < MAX_TURNS && (turn < 2 || machine.pending > 0); turn++) await host.turn();
  expect(machine.pending === 0, 'operations do not end');
  clock.walk(1000);
  const after = machine.memory.read(0, RAM_BYTES);
  expect(
    before.every((byte, index) => byte === after[index]),
    'the RAM changes after a reset',
  );
  machine.checkFences();
  machine.mmio.close();
  await host.turn();
  expect(clock.pending === 0, () => `${clock.pending} timers are left after close`);
}

/** Every register as text, those of a queue for each queue. Leaves queue 0 selected. */
function registersOf({ mmio }: VirtioMachine): string {
  const values: number[] = [];
  for (let queue = QUEUES - 1; queue >= 0; queue--) {
    mmio.write(Register.QUEUE_SELECT, 4, queue);
    for (let at = 0; at < VIRTIO_MMIO_BYTES; at += 4)
      if (at !== CONFIG_GENERATION && (queue === 0 || at < CONFIG_GENERATION)) values.push(mmio.read(at, 4));
  }
  return values.join(' ');
}

class RandomDriver {
  readonly #machine: VirtioMachine;
  readonly #input: FuzzInput;
  #isPacked = false;
  #size = 4;
  /** By queue: descriptors that were added. */
  readonly #added = new Uint32Array(QUEUES);

  constructor(machine: VirtioMachine, input: FuzzInput) {
    this.#machine = machine;
    this.#input = input;
  }

  async step(clock: FuzzClock): Promise<void> {
    const { mmio, memory } = this.#machine;
    const input = this.#input;
    const kind = input.below(16);
    if (kind < 2) this.#setUp();
    else if (kind < 8) this.#addChain();
    else if (kind === 8) mmio.write(Register.QUEUE_NOTIFY, 4, input.below(QUEUES));
    else if (kind === 9) this.#write(input.pick(REGISTERS), input.word(VALUES));
    else if (kind === 10) memory.writeU16(input.below(DATA / 2) * 2, input.word(VALUES) & 0xffff);
    else if (kind === 11) this.#read();
    else if (kind === 12) await host.turn();
    else if (kind === 13) clock.walk(input.u8());
    else if (kind === 14) this.#machine.receive(new Uint8Array(14 + input.u8()).fill(input.u8()));
    else if (input.below(4) === 0) mmio.reset();
    else this.#write(Register.STATUS, 0);
  }

  #write(register: number, value: number): void {
    this.#machine.mmio.write(register, 4, value >>> 0);
  }

  #read(): void {
    const size = this.#input.pick([1, 2, 4] as const);
    const value = this.#machine.mmio.read(this.#input.below(VIRTIO_MMIO_BYTES - 3), size);
    expect(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size), () => `${value} of ${size} bytes`);
  }

  /** All that a driver does up to DRIVER_OK, with some of the features. */
  #setUp(): void {
    const input = this.#input;
    const { mmio, memory } = this.#machine;
    this.#write(Register.STATUS, 0);
    memory.fill(0, 0, DATA);
    this.#added.fill(0);
    this.#size = input.pick(SIZES);
    this.#write(Register.STATUS, ACKNOWLEDGE_AND_DRIVER);
    // Below 128 the driver accepts all that the device offers.
    const willingness = input.u8();
    for (const word of [0, 1]) {
      this.#write(Register.DEVICE_FEATURES_SELECT, word);
      this.#write(Register.DRIVER_FEATURES_SELECT, word);
      const offered = mmio.read(Register.DEVICE_FEATURES, 4);
      // VERSION_1 is bit 0 of word 1, PACKED bit 2.
      this.#write(Register.DRIVER_FEATURES, willingness < 128 ? offered : offered & (word === 0 ? input.u32() : 1));
      if (word === 1) this.#isPacked = willingness < 128 && (offered & 4) !== 0;
    }
    this.#write(Register.STATUS, ACKNOWLEDGE_AND_DRIVER | FEATURES_OK);
    for (let queue = 0; queue < QUEUES; queue++) {
      const base = queue * QUEUE_BYTES;
      this.#write(Register.QUEUE_SELECT, queue);
      this.#write(Register.QUEUE_SIZE, this.#size);
      this.#write(Register.DESCRIPTORS, base);
      this.#write(Register.DRIVER, base + DRIVER_AREA);
      this.#write(Register.DEVICE, base + DEVICE_AREA);
      this.#write(Register.QUEUE_READY, 1);
    }
    this.#write(Register.STATUS, ACKNOWLEDGE_AND_DRIVER | FEATURES_OK | DRIVER_OK);
  }

  /** A chain whose first segment holds bytes of the input, and mostly a notification. */
  #addChain(): void {
    const input = this.#input;
    const { memory } = this.#machine;
    const queue = input.below(QUEUES);
    const count = 1 + input.below(4);
    const writableFrom = input.below(count + 1);
    for (let address = DATA; address < DATA + 16; address++) memory.writeU8(address, input.u8());
    let head = 0;
    for (let index = 0; index < count; index++) {
      const isWritable = index >= writableFrom;
      const address = index === 0 ? DATA : input.below(4) === 0 ? input.word(VALUES) : DATA + 0x100 * (1 + input.u8());
      const hasNext = index < count - 1;
      const at = this.#addDescriptor(queue, address, input.pick(LENGTHS), isWritable, hasNext);
      if (index === 0) head = at;
    }
    if (!this.#isPacked) this.#publish(queue, head);
    if (input.below(4) !== 0) this.#write(Register.QUEUE_NOTIFY, queue);
  }

  /** Writes the queue's next descriptor and returns its index in the ring. */
  #addDescriptor(queue: number, address: number, length: number, isWritable: boolean, hasNext: boolean): number {
    const { memory } = this.#machine;
    const position = this.#added[queue] ?? 0;
    this.#added[queue] = position + 1;
    const entry = position % this.#size;
    const at = queue * QUEUE_BYTES + entry * 16;
    memory.writeU32(at, address);
    memory.writeU32(at + 4, 0);
    memory.writeU32(at + 8, length);
    const flags = (hasNext ? 1 : 0) | (isWritable ? 2 : 0);
    if (this.#isPacked) {
      // The flags AVAIL and USED: their meaning changes with each lap around the ring.
      const isFirstLap = Math.floor(position / this.#size) % 2 === 0;
      memory.writeU16(at + 12, entry);
      memory.writeU16(at + 14, flags | (isFirstLap ? 0x80 : 0x8000));
    } else {
      memory.writeU16(at + 12, flags);
      memory.writeU16(at + 14, (entry + 1) % this.#size);
    }
    return entry;
  }

  /** Adds a chain to the available ring of a split queue. */
  #publish(queue: number, head: number): void {
    const { memory } = this.#machine;
    const area = queue * QUEUE_BYTES + DRIVER_AREA;
    const index = memory.readU16(area + 2);
    memory.writeU16(area + 4 + (index % this.#size) * 2, head);
    memory.writeU16(area + 2, (index + 1) & 0xffff);
  }
}
