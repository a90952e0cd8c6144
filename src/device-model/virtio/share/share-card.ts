/**
 * openShareCard: creates a PCI card for a shared folder. The default export is the same for a card
 * in a thread of its own.
 *
 * Called by: the command line (cli/share-option.ts), or the thread of the card
 * (placement/device-thread.ts), which calls the default export.
 */

import { host } from '../../../host/current.js';
import type { PciCard } from '../../pci/pci-card.js';
import type { DeviceContext } from '../../placement/device-module.js';
import { virtioPciCard } from '../virtio-pci-card.js';
import { ShareDevice } from './share-device.js';

/** Survives structured cloning. */
export interface ShareCardOptions {
  readonly folder: string;
  readonly isWritable: boolean;
  /** The guest mounts it by this name. */
  readonly tag: string;
}

/** Rejects as `host.openFolder` does. */
export async function openShareCard({ folder, isWritable, tag }: ShareCardOptions): Promise<PciCard> {
  return virtioPciCard(new ShareDevice({ folder: await host.openFolder(folder, { isWritable }), tag }));
}

export default function createShareCard(_context: DeviceContext, options: ShareCardOptions): Promise<PciCard> {
  return openShareCard(options);
}
