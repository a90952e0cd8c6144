/**
 * diskCards: the PCI cards of `--disk` options.
 *
 * Called by: cardsOf (commands/run-cards.ts).
 */

import { basename } from 'node:path';
import type { OpenedDisk } from '../device-model/disk/open-disk.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { ID_BYTES } from '../device-model/virtio/block/block-layout.js';
import type { UserVm } from '../vm/user-vm.js';
import type { CardSource } from './card-source.js';
import type { DiskOption } from './disk-option.js';

export function diskCards(options: readonly DiskOption[]): readonly CardSource[] {
  return options.map((option, index) => new DiskCard(option, index === 0 ? 'virtio-blk' : `virtio-blk-${index + 1}`));
}

class DiskCard implements CardSource {
  readonly option: string;
  readonly #disk: DiskOption;
  readonly #name: string;
  #released: Promise<void> | undefined;

  constructor(disk: DiskOption, name: string) {
    this.option = `--disk ${disk.text}`;
    this.#disk = disk;
    this.#name = name;
  }

  async create(vm: UserVm): Promise<PciCard> {
    // Loaded on demand: other runs have no disks.
    const [{ openDisk }, { VirtioBlock }, { virtioPciCard }] = await Promise.all([
      import('../device-model/disk/open-disk.js'),
      import('../device-model/virtio/block/virtio-block.js'),
      import('../device-model/virtio/virtio-pci-card.js'),
    ]);
    const { file, queues } = this.#disk;
    const report = (message: string): void => vm.emit({ kind: 'device-report', device: this.#name, message });
    const { image, unlocked }: OpenedDisk = await openDisk(this.#disk);
    for (const one of unlocked) report(`cannot lock ${one}: no other program must write it`);
    const device = new VirtioBlock({
      image,
      name: this.#name,
      queues,
      id: diskId(file),
      onError: (operation, error) => report(`${file}: ${operation} failed: ${messageOf(error)}`),
    });
    // Reported by onError.
    this.#released = device.closed.catch(() => undefined);
    return virtioPciCard(device);
  }

  async released(): Promise<void> {
    await this.#released;
  }
}

/** What the guest gets as the disk's ID: the name of the file, as far as it fits. */
function diskId(file: string): string {
  return basename(file)
    .replace(/[^ -~]/g, '_')
    .slice(0, ID_BYTES);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
