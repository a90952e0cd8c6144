/**
 * ThreadClientOptions: what a ThreadClient (in-own-thread.ts) needs of its VM.
 *
 * Called by: Attachments, for a device; ThreadCard, for a PCI card.
 */

import type { AddressRange } from '../../hsm/address-range.js';
import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { InterruptLines } from '../../hypervisor/interrupt-lines.js';
import type { ReportDeviceError } from '../device-client.js';
import type { LineOwners } from '../line-owners.js';
import type { CardThreadData } from './device-thread.js';
import type { ThreadPlacement } from './thread-placement.js';

export interface ThreadClientOptions {
  readonly placement: ThreadPlacement;
  readonly range: AddressRange;
  readonly memory: GuestMemory;
  readonly lines: InterruptLines;
  /** Gets this client as an owner of each line that the device has an output to. */
  readonly owners: LineOwners;
  readonly reportError: ReportDeviceError;
  /**
   * The thread ended without being closed, perhaps before its device was created. This callback
   * must remove the client and finish its requests.
   */
  readonly onDeath: (reason: string, stack?: string) => void;
  /**
   * The thread of a removed client has ended. This callback must finish the requests that the
   * thread was finishing when it was terminated.
   */
  readonly onEnd?: () => void;
  /** The device is a PCI card: its client is part of that of the card (thread-card.ts). */
  readonly card?: CardThreadData;
  /** A card's `CardHandle.report`. */
  readonly onReport?: (message: string) => void;
}
