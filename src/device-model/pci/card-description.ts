/**
 * The check of a card's description, and the layout of its base address registers (BARs).
 *
 * Called by: CardFunction and its parts for the layout; placement/device-module.ts and VmCards for
 * the check, because a card need not be compiled against the types.
 *
 * Source: PCI Local Bus Specification 3.0, section 6.2.5.1.
 */

import type { BarDescription, PciCard, PciDescription } from './pci-card.js';

/** Base address registers of a type 0 header. */
export const BARS = 6;
/**
 * Smallest and largest size of a BAR. The specification bounds all but the largest memory64, which
 * is chosen here.
 */
const SIZES = {
  memory: [16, 2 ** 31],
  memory64: [16, 2 ** 40],
  ports: [4, 256],
} as const;
export const MAX_MSI_VECTORS = 32;
export const MAX_MSIX_VECTORS = 2048;
/** The space for capabilities of the author's own. */
export const OWN_CAPABILITIES = 0x70;
const CONFIG_SPACE_END = 0x100;

/** A BAR with its place among the registers. */
export interface BarLayout extends BarDescription {
  /** The number of its (lower) register. */
  readonly bar: number;
  /** Whether it holds the MSI-X table and not registers of the author. */
  readonly isMsixTable: boolean;
}

/**
 * Half of the BAR for MSI-X: the lower half has the table of 16 bytes a vector, the upper one the
 * pending bits. At least 2 KiB, so that the BAR fills a page.
 */
export function msixHalf(vectors: number): number {
  return Math.max(2048, 2 ** Math.ceil(Math.log2(vectors * 16)));
}

/** The BARs of a valid description, in the order of their registers. */
export function barsOf({ bars = [], msix }: PciDescription): readonly BarLayout[] {
  const all: BarLayout[] = [];
  let bar = 0;
  for (const one of bars) {
    all.push({ ...one, bar, isMsixTable: false });
    bar += one.type === 'memory64' ? 2 : 1;
  }
  if (msix !== undefined) all.push({ type: 'memory', size: 2 * msixHalf(msix), bar, isMsixTable: true });
  return all;
}

/** What is wrong with `value` as a card, or undefined if it is one. */
export function cardProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `is ${value === null ? 'null' : typeof value}`;
  const { name, read, write, pci } = value as Partial<Record<keyof PciCard, unknown>>;
  if (typeof name !== 'string' || name === '') return 'has no name';
  if (typeof pci !== 'object' || pci === null) return 'has no pci: { vendor, device, class, … }';
  if (typeof read !== 'function') return 'has no read(bar, offset, size)';
  if (typeof write !== 'function') return 'has no write(bar, offset, size, value)';
  return descriptionProblem(pci as PciDescription) ?? liveProblem(value as PciCard);
}

function descriptionProblem(pci: PciDescription): string | undefined {
  const { vendor, device, revision = 0, subsystem, bars = [], msi = 1, msix = 1, interruptPin, capabilities } = pci;
  const numbers: readonly (readonly [name: string, value: unknown, bits: number])[] = [
    ['vendor', vendor, 16],
    ['device', device, 16],
    ['class', pci.class, 24],
    ['revision', revision, 8],
    ['subsystem.vendor', subsystem?.vendor ?? 0, 16],
    ['subsystem.device', subsystem?.device ?? 0, 16],
  ];
  for (const [name, number, bits] of numbers)
    if (!isInteger(number, 0, 2 ** bits - 1)) return `has a pci.${name} that is not a number of ${bits} bits`;
  // A guest takes this vendor for an empty slot.
  if (vendor === 0xffff) return 'has the pci.vendor 0xffff, which means that no card is there';
  if (!isInteger(msi, 1, MAX_MSI_VECTORS) || !isPowerOfTwo(msi))
    return `has a pci.msi that is not 1, 2, 4, 8, 16 or 32`;
  if (!isInteger(msix, 1, MAX_MSIX_VECTORS)) return `has a pci.msix that is not 1 to ${MAX_MSIX_VECTORS}`;
  if (interruptPin !== undefined && !/^[A-D]$/.test(interruptPin))
    return 'has a pci.interruptPin that is not A, B, C or D';
  return barsProblem(pci, bars) ?? capabilitiesProblem(capabilities);
}

function barsProblem(pci: PciDescription, bars: unknown): string | undefined {
  if (!Array.isArray(bars)) return 'has pci.bars that are not an array';
  for (const [index, bar] of (bars as (Partial<BarDescription> | undefined)[]).entries()) {
    const sizes = SIZES[bar?.type as keyof typeof SIZES] as readonly [number, number] | undefined;
    if (sizes === undefined) return `has a pci.bars[${index}].type that is not memory, memory64 or ports`;
    if (!isInteger(bar?.size, ...sizes) || !isPowerOfTwo(bar?.size as number))
      return `has a pci.bars[${index}].size that is not a power of two from ${sizes[0]} to ${sizes[1]}`;
  }
  const last = barsOf(pci).at(-1);
  const taken = last === undefined ? 0 : last.bar + (last.type === 'memory64' ? 2 : 1);
  return taken > BARS ? `needs ${taken} BARs, and a function has ${BARS} (memory64 takes two, msix one)` : undefined;
}

function capabilitiesProblem(capabilities: unknown): string | undefined {
  if (capabilities === undefined) return undefined;
  if (!Array.isArray(capabilities)) return 'has pci.capabilities that are not an array';
  let end = OWN_CAPABILITIES;
  for (const { id, bytes } of capabilities as { id?: unknown; bytes?: { length?: unknown } }[]) {
    if (!isInteger(id, 1, 0xff) || !isInteger(bytes?.length, 0, CONFIG_SPACE_END))
      return 'has pci.capabilities without an id of 8 bits and bytes';
    end += capabilityBytes(bytes?.length as number);
  }
  return end > CONFIG_SPACE_END ? `has pci.capabilities that end at 0x${end.toString(16)}, above 0x100` : undefined;
}

function liveProblem(card: PciCard): string | undefined {
  const hasLive = (card.pci.capabilities ?? []).some(({ isLive }) => isLive === true);
  if (!hasLive || (typeof card.readCapability === 'function' && typeof card.writeCapability === 'function'))
    return undefined;
  return 'has a live capability, and no readCapability and writeCapability';
}

/**
 * Bytes of a capability with `length` bytes of its own: with identifier and link, up to the next
 * multiple of 4, where the next capability begins.
 */
export function capabilityBytes(length: number): number {
  return (length + 2 + 3) & ~3;
}

function isInteger(value: unknown, first: number, last: number): boolean {
  return Number.isInteger(value) && (value as number) >= first && (value as number) <= last;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}
