/**
 * FaultyDisk: a disk image whose operations fail as the rules say. It is between a card and the
 * real image.
 *
 * Called by: the virtio block device. Made by FaultInjection. Threads: the Service VM's.
 */

import { SECTOR_BYTES, type DiskImage } from '../device-model/disk/disk-image.js';
import { flipBit } from './flip-bit.js';
import type { DiskFault, DiskOperation } from './fault-rule.js';
import { touches } from './fault-selector.js';
import type { FaultTrigger } from './fault-trigger.js';

/** An operation: bytes `position` to `position + length - 1` of the disk. A flush has length 0. */
export interface DiskWork {
  readonly operation: DiskOperation;
  readonly position: number;
  readonly length: number;
}

/** What the disks of a VM use of its FaultInjection. */
export interface DiskFaults {
  /** The faults of this operation. Counts and emits them. */
  diskHits(name: string, work: DiskWork): readonly FaultTrigger<DiskFault>[];
  /** Resolves after `ms`, or when the VM is reset or ends. */
  wait(ms: number): Promise<void>;
}

export class FaultyDisk implements DiskImage {
  readonly size: number;
  readonly isReadOnly: boolean;
  readonly canDeallocate: boolean;
  readonly #name: string;
  readonly #image: DiskImage;
  readonly #faults: DiskFaults;

  constructor(name: string, image: DiskImage, faults: DiskFaults) {
    ({ size: this.size, isReadOnly: this.isReadOnly, canDeallocate: this.canDeallocate } = image);
    this.#name = name;
    this.#image = image;
    this.#faults = faults;
  }

  read(position: number, target: Uint8Array): Promise<void> {
    return this.#run({ operation: 'read', position, length: target.length }, async (flips) => {
      await this.#image.read(position, target);
      for (const trigger of flips) flipBit(target, trigger);
    });
  }

  write(position: number, source: Uint8Array): Promise<void> {
    return this.#run({ operation: 'write', position, length: source.length }, (flips) => {
      if (flips.length === 0) return this.#image.write(position, source);
      const altered = source.slice();
      for (const trigger of flips) flipBit(altered, trigger);
      return this.#image.write(position, altered);
    });
  }

  writeZeroes(position: number, length: number, mayDeallocate: boolean): Promise<void> {
    return this.#run({ operation: 'discard', position, length }, () =>
      this.#image.writeZeroes(position, length, mayDeallocate),
    );
  }

  discard(position: number, length: number): Promise<void> {
    return this.#run({ operation: 'discard', position, length }, () => this.#image.discard(position, length));
  }

  flush(): Promise<void> {
    return this.#run({ operation: 'flush', position: 0, length: 0 }, () => this.#image.flush());
  }

  close(): Promise<void> {
    return this.#image.close();
  }

  async #run(work: DiskWork, perform: (flips: readonly FaultTrigger<DiskFault>[]) => Promise<void>): Promise<void> {
    const hits = this.#faults.diskHits(this.#name, work);
    let slowMs = 0;
    let isDropped = false;
    for (const { rule, text } of hits) {
      if (rule.effect.kind === 'error') throw new Error(`the fault rule "${text}"`);
      if (rule.effect.kind === 'slow') slowMs += rule.effect.ms;
      isDropped ||= rule.effect.kind === 'drop';
    }
    if (slowMs > 0) await this.#faults.wait(slowMs);
    await perform(hits.filter(({ rule }) => rule.effect.kind === 'flip'));
    if (isDropped) await this.#faults.wait(Infinity);
  }
}

export function selectsOperation({ operation, sectors }: DiskFault, work: DiskWork): boolean {
  if (operation !== undefined && operation !== work.operation) return false;
  return (
    sectors === undefined ||
    (work.length > 0 && touches(sectors, work.position / SECTOR_BYTES, work.length / SECTOR_BYTES))
  );
}

/** `read 8 sectors from 2048`. */
export function describeWork({ operation, position, length }: DiskWork): string {
  if (length === 0) return operation;
  const sectors = length / SECTOR_BYTES;
  return `${operation} ${sectors} ${sectors === 1 ? 'sector' : 'sectors'} from ${position / SECTOR_BYTES}`;
}
