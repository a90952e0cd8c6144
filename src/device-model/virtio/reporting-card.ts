/**
 * reportingCard: makes a card whose parts report to the operator, also before the card is attached
 * and has a handle to report by. What comes early is kept until then.
 *
 * Called by: modules of cards in threads of their own, where nothing but the handle reports. They
 * report a few messages early at most: while they open what they need.
 */

import type { PciCard } from '../pci/pci-card.js';

/** `report`: as `CardHandle.report`. Rejects as `make` does. */
export async function reportingCard(make: (report: (message: string) => void) => Promise<PciCard>): Promise<PciCard> {
  const early: string[] = [];
  let report = (message: string): void => void early.push(message);
  const card = await make((message) => report(message));
  const connect = card.connect?.bind(card);
  card.connect = (handle) => {
    report = (message) => handle.report(message);
    early.forEach(report);
    connect?.(handle);
  };
  return card;
}
