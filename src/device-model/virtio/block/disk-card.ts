/**
 * openDiskCard: a file of this machine as a disk of the guest: the image, the virtio block device
 * and its PCI card. Also the module of such a card in a thread of its own.
 *
 * Called by: the command line (cli/disk-card.ts), or the thread of the card
 * (placement/device-thread.ts), which calls the default export.
 */

import type { DiskImage } from '../../disk/disk-image.js';
import { openDisk, type DiskFormat } from '../../disk/open-disk.js';
import type { DeviceContext } from '../../placement/device-module.js';
import type { PciCard } from '../../pci/pci-card.js';
import { reportingCard } from '../reporting-card.js';
import { virtioPciCard } from '../virtio-pci-card.js';
import { VirtioBlock } from './virtio-block.js';

/** Survives structured cloning. */
export interface DiskCardOptions {
  readonly name: string;
  readonly file: string;
  readonly isReadOnly: boolean;
  readonly queues: number;
  readonly overlay?: string;
  readonly format?: DiskFormat;
  /** What the driver gets as the disk's ID. */
  readonly id: string;
}

/**
 * `report`: as `CardHandle.report`. `wrap`: what the card gets instead of the image, for example a
 * FaultyDisk over it. Rejects as `openDisk` does, and with VirtioBlock's RangeError.
 */
export async function openDiskCard(
  options: DiskCardOptions,
  report: (message: string) => void,
  wrap = (image: DiskImage): DiskImage => image,
): Promise<PciCard> {
  const { file, name, queues, id } = options;
  const { image, unlocked } = await openDisk(options);
  for (const one of unlocked) report(`cannot lock ${one}: no other program must write it`);
  try {
    const device = new VirtioBlock({
      image: wrap(image),
      name,
      queues,
      id,
      onError: (operation, error) => report(`${file}: ${operation} failed: ${messageOf(error)}`),
    });
    return virtioPciCard(device);
  } catch (error) {
    // Otherwise the files would stay open and locked.
    await image.close();
    throw error;
  }
}

export default function createDiskCard(_context: DeviceContext, options: DiskCardOptions): Promise<PciCard> {
  return reportingCard((report) => openDiskCard(options, report));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
