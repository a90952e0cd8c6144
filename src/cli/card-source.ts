/**
 * CardSource: a PCI card that an option of the command line brings, such as `--disk`.
 *
 * Called by: startSession, before the VM starts; runSession, after the VM has ended (`released`).
 * cardsOf (commands/run-cards.ts) and planSession create them.
 */

import type { PciCard } from '../device-model/pci/pci-card.js';
import type { ThreadPlacement } from '../device-model/placement/thread-placement.js';
import type { UserVm } from '../vm/user-vm.js';
import type { AttachedCard } from '../vm/vm-cards.js';

export interface CardSource {
  /** The option as it was given, for messages. */
  readonly option: string;
  /**
   * Opens what the card needs. Rejects with UpcallError. The card's `close` releases it. A card for
   * a thread of its own opens it there.
   */
  create(vm: UserVm): Promise<PciCard | ThreadPlacement>;
  /** Called when the card is attached. */
  attached?(card: AttachedCard): void;
  /**
   * Resolves when what the card has opened is released, for example when a file is written. Called
   * after the VM has ended. Never rejects. Default: at once.
   */
  released?(): Promise<void>;
}
