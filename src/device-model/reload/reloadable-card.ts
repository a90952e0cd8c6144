/**
 * ReloadableCard: a PCI card whose class can be exchanged while its VM runs, as ReloadableDevice.
 * The guest has found and configured the card, so its description cannot change.
 *
 * Called by: CardFunction, or LinkedCard in a thread of its own, as any card; DeviceReloader, which
 * exchanges generations.
 */

import type { AccessSize } from '../device.js';
import type { CardDoorbell, CardHandle, PciCard, PciDescription } from '../pci/pci-card.js';
import type { RegisterMap } from '../register-map.js';
import { gatedHandle, SharedPin } from './gated-handle.js';
import type { Generation, Reloadable } from './generation.js';
import { OpenAccesses } from './open-accesses.js';

type Optional = 'registers' | 'peek' | 'save' | 'restore' | 'stateVersion';

/** A PciCard. Which of the optional members it has depends on the current generation. */
export class ReloadableCard implements Omit<PciCard, Optional>, Reloadable<PciCard> {
  readonly name: string;
  readonly pci: PciDescription;
  readonly doorbells: readonly CardDoorbell[];
  readonly accesses = new OpenAccesses();
  #current: Generation<PciCard>;
  #card: PciCard;
  #handle: CardHandle | undefined;
  #pin: SharedPin | undefined;

  constructor(first: Generation<PciCard>) {
    const { name, pci, doorbells = [] } = first.device;
    this.name = name;
    this.pci = pci;
    this.doorbells = doorbells;
    this.#current = first;
    this.#card = first.device;
  }

  get current(): Generation<PciCard> {
    return this.#current;
  }

  get registers(): RegisterMap | undefined {
    return this.#card.registers;
  }

  get peek(): PciCard['peek'] {
    return this.#card.peek?.bind(this.#card);
  }

  get stateVersion(): number | undefined {
    return this.#card.stateVersion;
  }

  connect(handle: CardHandle): void {
    this.#handle = handle;
    this.#pin = new SharedPin(handle);
    this.connectNext(this.#current);
  }

  read(bar: number, offset: number, size: AccessSize): number | Promise<number> {
    const value = this.#card.read(bar, offset, size);
    return typeof value === 'number' ? value : this.accesses.track(value);
  }

  write(bar: number, offset: number, size: AccessSize, value: number): void | Promise<void> {
    const written = this.#card.write(bar, offset, size, value);
    return written === undefined ? undefined : this.accesses.track(written);
  }

  rung(doorbell: number): void {
    this.#card.rung?.(doorbell);
  }

  reset(): void {
    this.#card.reset?.();
  }

  get save(): PciCard['save'] {
    return this.#card.save?.bind(this.#card);
  }

  get restore(): PciCard['restore'] {
    return this.#card.restore?.bind(this.#card);
  }

  async close(): Promise<void> {
    this.accesses.end();
    try {
      await this.#card.close?.();
    } finally {
      this.#current.gate.end();
    }
  }

  refusal(next: PciCard): string | undefined {
    const changed = changedMember({ ...this.pci }, { ...next.pci });
    if (changed !== undefined) return `its pci.${changed} has changed, and the guest has configured the card by it`;
    return changedMember(this.doorbells, next.doorbells ?? []) === undefined ? undefined : 'its doorbells have changed';
  }

  connectNext({ device, gate }: Generation<PciCard>): void {
    if (this.#handle === undefined || this.#pin === undefined) return;
    device.connect?.(gatedHandle(this.#handle, this.#pin, this.pci, gate));
  }

  exchange(next: Generation<PciCard>): void {
    this.#current = next;
    this.#card = next.device;
  }
}

/** The first member that differs, whatever it holds. */
function changedMember(old: object, next: object): string | undefined {
  const names = new Set([...Object.keys(old), ...Object.keys(next)]);
  for (const name of names) if (textOf(old, name) !== textOf(next, name)) return name;
  return undefined;
}

function textOf(description: object, name: string): string {
  const value = (description as Record<string, unknown>)[name];
  return JSON.stringify(value, (_, part: unknown) => (part instanceof Uint8Array ? [...part] : part));
}
