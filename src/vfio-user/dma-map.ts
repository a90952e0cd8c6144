/**
 * DmaMap: the regions of guest memory that a client has announced. A region whose file comes along
 * is mapped into this process where that is safe. All others are reached by messages.
 *
 * Called by: ServedFunction, for DMA_MAP and DMA_UNMAP. Threads: the Service VM's.
 */

import type { MemoryArena } from '../host/memory-arena.js';
import type { MemoryRegion, RegionMemory } from '../hypervisor/region-memory.js';
import { DmaFlag, Errno, MAX_DMA_REGIONS } from './protocol.js';

export interface DmaCommand {
  readonly flags: number;
  /** Where the region begins in the file. */
  readonly fileOffset: bigint;
  readonly address: bigint;
  readonly size: bigint;
  /** Undefined: the client shares no file. */
  readonly descriptor: number | undefined;
}

/** Addresses above are no physical addresses, and numbers would not be exact. */
const ADDRESS_END = 2n ** 52n;

export class DmaMap {
  readonly #memory: RegionMemory;
  readonly #arena: MemoryArena | undefined;
  /** Called when the client announces RAM at address 0 that it does not share. */
  onUnshared: () => void = () => undefined;
  #hasRemote = false;

  constructor(memory: RegionMemory, arena: MemoryArena | undefined) {
    this.#memory = memory;
    this.#arena = arena;
  }

  /** Bytes of the regions, mapped ones and others. */
  get bytes(): { readonly mapped: number; readonly remote: number } {
    let mapped = 0;
    let remote = 0;
    for (const { start, end, isMapped } of this.#memory.regions)
      if (isMapped) mapped += end - start;
      else remote += end - start;
    return { mapped, remote };
  }

  /** Whether a card may write memory by messages. */
  get hasRemote(): boolean {
    return this.#hasRemote;
  }

  /** Returns 0, or an errno. The descriptor stays the caller's. */
  add({ flags, fileOffset, address, size, descriptor }: DmaCommand): Errno | 0 {
    const { regions } = this.#memory;
    if (size <= 0n || address + size > ADDRESS_END || (flags & ~(DmaFlag.READ | DmaFlag.WRITE)) !== 0)
      return Errno.INVALID;
    if (regions.length >= MAX_DMA_REGIONS) return Errno.NOSPACE;
    const start = Number(address);
    const end = Number(address + size);
    if (regions.some((region) => region.start < end && start < region.end)) return Errno.EXIST;
    const isWritable = (flags & DmaFlag.WRITE) !== 0;
    // A mapped region is written by plain stores, so a read-only one is not mapped.
    const isMapped = isWritable && descriptor !== undefined && this.#map(start, end, descriptor, fileOffset);
    if (address === 0n && isWritable && descriptor === undefined && this.#arena !== undefined) this.onUnshared();
    this.#set([...regions, { start, end, isMapped, isWritable }]);
    return 0;
  }

  /** Returns 0, or an errno. As for the kernel's driver, regions are removed whole. */
  remove(address: bigint, size: bigint): Errno | 0 {
    const { regions } = this.#memory;
    const end = address + size;
    const isWithin = (region: MemoryRegion): boolean => BigInt(region.start) >= address && BigInt(region.end) <= end;
    const removed = regions.filter(isWithin);
    if (removed.length === 0) return Errno.NOENT;
    if (regions.some((one) => !isWithin(one) && BigInt(one.start) < end && address < BigInt(one.end)))
      return Errno.INVALID;
    this.#set(regions.filter((region) => !isWithin(region)));
    this.#unmap(removed);
    return 0;
  }

  clear(): void {
    const { regions } = this.#memory;
    this.#set([]);
    this.#unmap(regions);
  }

  #set(regions: readonly MemoryRegion[]): void {
    this.#memory.regions = [...regions].sort((a, b) => a.start - b.start);
    this.#hasRemote = regions.some(({ isMapped, isWritable }) => isWritable && !isMapped);
  }

  #map(start: number, end: number, descriptor: number, fileOffset: bigint): boolean {
    if (this.#arena === undefined || fileOffset >= ADDRESS_END) return false;
    return this.#arena.map(start, end - start, descriptor, Number(fileOffset));
  }

  /** The pages of the client are given back. */
  #unmap(regions: readonly MemoryRegion[]): void {
    for (const { start, end, isMapped } of regions) if (isMapped) this.#arena?.unmap(start, end - start);
  }
}
