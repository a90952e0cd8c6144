/**
 * diskCards: the PCI cards of `--disk` options.
 *
 * Called by: cardsOf (commands/run-cards.ts), commands/serve.ts.
 */

import { basename } from 'node:path';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { inOwnThread, type ThreadPlacement } from '../device-model/placement/thread-placement.js';
import { ID_BYTES } from '../device-model/virtio/block/block-layout.js';
import type { UserVm } from '../vm/user-vm.js';
import type { AttachedCard } from '../vm/vm-cards.js';
import type { CardSource } from './card-source.js';
import { expectNoRule } from './fault-option.js';
import type { DiskOption } from './disk-option.js';

/** The module of a disk in a thread of its own. */
const MODULE = new URL('../device-model/virtio/block/disk-card.js', import.meta.url);

export function diskCards(options: readonly DiskOption[]): readonly CardSource[] {
  return options.map((option, index) => new DiskCard(option, index === 0 ? 'virtio-blk' : `virtio-blk-${index + 1}`));
}

class DiskCard implements CardSource {
  readonly option: string;
  readonly #disk: DiskOption;
  readonly #name: string;
  #attached: AttachedCard | undefined;

  constructor(disk: DiskOption, name: string) {
    this.option = `--disk ${disk.text}`;
    this.#disk = disk;
    this.#name = name;
  }

  async create(vm: UserVm): Promise<PciCard | ThreadPlacement> {
    const name = this.#name;
    const options = { ...this.#disk, name, id: diskId(this.#disk.file) };
    if (options.inOwnThread) {
      expectNoRule(vm, 'disk', name);
      return inOwnThread(MODULE, options);
    }
    // Loaded on demand: other runs have no disks.
    const { openDiskCard } = await import('../device-model/virtio/block/disk-card.js');
    const report = (message: string): void => vm.emit({ kind: 'device-report', device: name, message });
    return openDiskCard(options, report, (image) => vm.faults?.disk(name, image) ?? image);
  }

  attached(card: AttachedCard): void {
    this.#attached = card;
  }

  async released(): Promise<void> {
    await this.#attached?.closed;
  }
}

/** What the guest gets as the disk's ID: the name of the file, as far as it fits. */
function diskId(file: string): string {
  return basename(file)
    .replace(/[^ -~]/g, '_')
    .slice(0, ID_BYTES);
}
