/**
 * queueView: a virtqueue as an operator sees it: where its rings are, their indexes, and the
 * descriptors around them. All of it is read from guest memory without any effect.
 *
 * Called by: VirtioState, for VirtioView.
 * Threads: the Service VM's.
 *
 * The rings are the guest's: any bytes may be there. They are shown as they are. What is outside of
 * RAM is not read, and at most SHOWN_DESCRIPTORS descriptors are.
 *
 * Source: virtio 1.2, sections 2.7 and 2.8.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import { DESCRIPTOR_BYTES, DescriptorFlag } from './guest-buffer.js';

/** Descriptors of a queue that are shown. */
export const SHOWN_DESCRIPTORS = 16;

const RING = 4;
const USED_BYTES = 8;
const WRAP = 1 << 15;
const OFFSET = 0x7fff;

/** As the driver has set it up. */
export interface QueuePlace {
  readonly index: number;
  readonly size: number;
  readonly isEnabled: boolean;
  /** Addresses of the descriptor area, the driver area and the device area. */
  readonly descriptors: bigint;
  readonly driver: bigint;
  readonly device: bigint;
}

/** How far the device is. Of a packed ring: positions that count the laps, too. */
export interface QueuePositions {
  /** Of the next buffer that it takes, and of the next one that it gives back. */
  readonly next: number;
  readonly used: number;
}

export interface DescriptorView {
  /** Its place in the table. */
  readonly index: number;
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
  /** Of a split ring the next descriptor, of a packed one the buffer's ID. */
  readonly link: number;
  /** 0: it begins a chain, or is in a packed ring. 1: it follows. 2: it is in an indirect table. */
  readonly level: number;
}

export interface QueueView extends QueuePlace {
  readonly isPacked: boolean;
  /** Names and values of the rings' words, by the names of the specification. */
  readonly indexes: readonly (readonly [name: string, value: number])[];
  /** Of a split ring the chains that were added last, latest first. Of a packed one the next. */
  readonly shown: readonly DescriptorView[];
}

/** `positions`: undefined while the device does not serve the queue. */
export function queueView(
  memory: GuestMemory,
  place: QueuePlace,
  isPacked: boolean,
  positions: QueuePositions | undefined,
): QueueView {
  if (!place.isEnabled) return { ...place, isPacked, indexes: [], shown: [] };
  const view = isPacked ? packed(memory, place, positions) : split(memory, place, positions);
  return { ...place, isPacked, ...view };
}

type Rings = Pick<QueueView, 'indexes' | 'shown'>;

function split(memory: GuestMemory, place: QueuePlace, positions: QueuePositions | undefined): Rings {
  const { size } = place;
  const available = wordsAt(memory, place.driver);
  const used = wordsAt(memory, place.device);
  const index = available(2);
  return {
    indexes: known([
      ['avail.idx', index],
      ['avail.flags', available(0)],
      ['used_event', available(RING + 2 * size)],
      ['used.idx', used(2)],
      ['used.flags', used(0)],
      ['avail_event', used(RING + USED_BYTES * size)],
      ['device.taken', positions?.next],
      ['device.returned', positions?.used],
    ]),
    shown: index === undefined ? [] : lastChains(memory, place, index, (entry) => available(RING + 2 * entry)),
  };
}

/**
 * The chains before index `end` of the available ring, the latest first. A head that was made
 * available again since is shown once: what its descriptors were before is overwritten.
 */
function lastChains(
  memory: GuestMemory,
  { descriptors, size }: QueuePlace,
  end: number,
  headAt: (entry: number) => number | undefined,
): DescriptorView[] {
  const shown: DescriptorView[] = [];
  const heads = new Set<number>();
  for (let back = 1; back <= Math.min(size, end) && shown.length < SHOWN_DESCRIPTORS; back++) {
    const head = headAt((end - back) % size);
    if (head === undefined || heads.has(head)) continue;
    heads.add(head);
    addChain(memory, { table: descriptors, count: size, level: 0 }, head, shown);
  }
  return shown;
}

interface Table {
  readonly table: bigint;
  readonly count: number;
  /** Of the first descriptor of a chain in it. */
  readonly level: number;
}

/** Adds the descriptors of a chain, and of the indirect table that it may lead to. */
function addChain(memory: GuestMemory, { table, count, level }: Table, head: number, shown: DescriptorView[]): void {
  let next: number | undefined = head;
  for (let seen = 0; next !== undefined && next < count && shown.length < SHOWN_DESCRIPTORS; seen++) {
    const descriptor = descriptorAt(memory, table, next, level === 0 && seen > 0 ? 1 : level);
    if (descriptor === undefined) return;
    shown.push(descriptor);
    const { flags, address, length, link } = descriptor;
    if ((flags & DescriptorFlag.INDIRECT) !== 0 && level === 0) {
      const entries = Math.floor(length / DESCRIPTOR_BYTES);
      addChain(memory, { table: address, count: entries, level: 2 }, 0, shown);
    }
    next = (flags & DescriptorFlag.NEXT) === 0 ? undefined : link;
  }
}

function packed(memory: GuestMemory, place: QueuePlace, positions: QueuePositions | undefined): Rings {
  const { size, descriptors } = place;
  const driver = wordsAt(memory, place.driver);
  const device = wordsAt(memory, place.device);
  const first = positions === undefined ? 0 : positions.next % size;
  const shown = Array.from({ length: Math.min(size, SHOWN_DESCRIPTORS) }, (_, step) =>
    descriptorAt(memory, descriptors, (first + step) % size, 0, true),
  );
  return {
    indexes: known([
      ...positionOf('device.next', positions?.next, size),
      ...positionOf('device.used', positions?.used, size),
      ...eventOf('driver.event', driver(0), driver(2)),
      ...eventOf('device.event', device(0), device(2)),
    ]),
    shown: shown.filter((descriptor) => descriptor !== undefined),
  };
}

type Word = readonly [name: string, value: number | undefined];

/** The wrap counter is 1 in the first lap. */
function positionOf(name: string, position: number | undefined, size: number): Word[] {
  if (position === undefined) return [];
  return [
    [name, position % size],
    [`${name}.wrap`, 1 - (Math.floor(position / size) % 2)],
  ];
}

function eventOf(name: string, descriptor: number | undefined, flags: number | undefined): Word[] {
  if (descriptor === undefined) return [];
  return [
    [`${name}.flags`, flags],
    [`${name}.offset`, descriptor & OFFSET],
    [`${name}.wrap`, (descriptor & WRAP) === 0 ? 0 : 1],
  ];
}

function known(words: readonly Word[]): (readonly [string, number])[] {
  return words.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

/** Reads 16 bits at an offset from `base`, or gives undefined outside of RAM. */
function wordsAt(memory: GuestMemory, base: bigint): (offset: number) => number | undefined {
  const start = Number(base);
  return (offset) => (memory.contains(start + offset, 2) ? memory.readU16(start + offset) : undefined);
}

function descriptorAt(
  memory: GuestMemory,
  table: bigint,
  index: number,
  level: number,
  isPacked = false,
): DescriptorView | undefined {
  const at = Number(table) + index * DESCRIPTOR_BYTES;
  if (!memory.contains(at, DESCRIPTOR_BYTES)) return undefined;
  const [first, second] = [memory.readU16(at + 12), memory.readU16(at + 14)];
  return {
    index,
    address: (BigInt(memory.readU32(at + 4)) << 32n) | BigInt(memory.readU32(at)),
    length: memory.readU32(at + 8),
    flags: isPacked ? second : first,
    link: isPacked ? first : second,
    level,
  };
}
