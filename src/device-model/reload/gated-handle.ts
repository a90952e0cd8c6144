/**
 * gatedHandle: the CardHandle of one generation of a reloaded card, as gated-context.ts is for the
 * context. The card's function has one pin, which the generations drive in turn (SharedPin).
 *
 * Called by: reloadable-card.ts, for each generation that it connects.
 */

import type { CardHandle, PciDescription } from '../pci/pci-card.js';
import { GatedMemory } from './gated-memory.js';
import type { Gate } from './gate.js';

/** The pin of a card, high while a generation that is current holds it high. */
export class SharedPin {
  readonly #handle: CardHandle;
  readonly #holders = new Set<Gate>();

  constructor(handle: CardHandle) {
    this.#handle = handle;
  }

  /** Called for the current generation, and with `high` false for one that was replaced. */
  set(gate: Gate, high: boolean): void {
    if (high) {
      this.#holders.add(gate);
      // Also if it holds the pin already: a reset of the function has lowered it.
      this.#handle.raise();
    } else {
      this.#holders.delete(gate);
      if (this.#holders.size === 0) this.#handle.lower();
    }
  }
}

export function gatedHandle(
  handle: CardHandle,
  pin: SharedPin,
  { msi = 0, msix = 0 }: PciDescription,
  gate: Gate,
): CardHandle {
  const vectors = Math.max(1, msi, msix);
  let wanted = false;
  /** Messages that the generation sent before it was the current one. */
  const staged = new Set<number>();
  let wasOpened = false;
  gate.whenOpened(() => {
    wasOpened = true;
    if (wanted) pin.set(gate, true);
  });
  // Without messages they raise the pin, which the end of the predecessor would lower again.
  gate.whenAlone(() => {
    for (const vector of staged) handle.interrupt(vector);
  });
  gate.whenEnded(() => {
    if (wasOpened) pin.set(gate, false);
  });
  const setLevel = (high: boolean): void => {
    wanted = high;
    if (gate.isOpen) pin.set(gate, high);
  };
  return {
    address: handle.address,
    dma: {
      read: (address, length) => (gate.isOpen ? handle.dma.read(address, length) : undefined),
      readInto: (address, target) => gate.isOpen && handle.dma.readInto(address, target),
      write: (address, bytes) => gate.isOpen && handle.dma.write(address, bytes),
      get refused() {
        return handle.dma.refused;
      },
    },
    memory: new GatedMemory(handle.memory, gate),
    get isBusMaster() {
      return gate.isOpen && handle.isBusMaster;
    },
    get isMsixEnabled() {
      return handle.isMsixEnabled;
    },
    interrupt: (vector = 0) => {
      if (!Number.isInteger(vector) || vector < 0 || vector >= vectors)
        throw new RangeError(`interrupt ${vector} of a card with ${vectors}`);
      if (gate.isOpen) handle.interrupt(vector);
      else if (!gate.isEnded) staged.add(vector);
    },
    raise: () => setLevel(true),
    lower: () => setLevel(false),
    report: (message) => {
      if (!gate.isEnded) handle.report(message);
    },
  };
}
