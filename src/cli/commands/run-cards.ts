/**
 * cardsOf: the PCI cards that the options of `upcall run` bring, beside those of `--device`.
 *
 * Called by: planSession.
 */

import type { CardSource } from '../card-source.js';
import { diskCards } from '../disk-card.js';
import { netCards } from '../net-card.js';
import type { Reporter } from '../reporter.js';
import { shareCard } from '../share-option.js';
import type { RunOptions } from './run-options.js';

export function cardsOf(options: RunOptions, reporter: Reporter): readonly CardSource[] {
  const cards: CardSource[] = [];
  if (options.entropy === true) cards.push(ENTROPY);
  return [...cards, ...diskCards(options.disk), ...netCards(options.net, reporter), ...options.share.map(shareCard)];
}

const ENTROPY: CardSource = {
  option: '--entropy',
  create: async () => {
    // Loaded on demand: other runs have no such device.
    const [{ EntropyDevice }, { virtioPciCard }] = await Promise.all([
      import('../../device-model/virtio/entropy/entropy-device.js'),
      import('../../device-model/virtio/virtio-pci-card.js'),
    ]);
    return virtioPciCard(new EntropyDevice());
  },
};
