/**
 * Attachments: the devices of one User VM, each with its range and the I/O client that carries
 * requests to it. Ranges of devices may not overlap.
 *
 * Called by: VmDevices, to attach, reset and close devices.
 */

import { DeviceClient, type DeviceCall, type ReportDeviceError } from '../device-model/device-client.js';
import { DeviceLines } from '../device-model/device-lines.js';
import type { Device, InterruptLine } from '../device-model/device.js';
import { LineOwners, type LineOwner } from '../device-model/line-owners.js';
import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { isThreadPlacement, type ThreadPlacement } from '../device-model/placement/thread-placement.js';
import type { AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';
import { LineDriver, type InterruptLines } from '../hypervisor/interrupt-lines.js';
import type { ReservedRange } from '../hypervisor/hypercalls.js';
import { expectAttachable } from './attach-arguments.js';
import { expectFree, expectReachable } from './device-range.js';
import { devicesCreated } from './device-start.js';
import { DisjointRanges } from './disjoint-ranges.js';

export interface Attachment {
  readonly range: AddressRange;
  readonly client: IoClient;
  /** A device in a thread of its own is its client here. */
  readonly device: Device | ThreadClient;
}

export interface AttachmentsOptions {
  /** Ranges in which accesses never become requests: above all those of the hypervisor itself. */
  readonly reservedRanges: readonly ReservedRange[];
  readonly memory: GuestMemory;
  readonly lines: InterruptLines;
  /** How long `ready` waits for devices in threads of their own, in ms. */
  readonly startTimeoutMs: number;
  readonly reportError: ReportDeviceError;
  /** A device's thread ended by itself. The callee must remove the client. */
  readonly onLost: (client: IoClient, reason: string, stack: string | undefined) => void;
  /** The thread of a removed client has ended. The callee must finish what it left unfinished. */
  readonly onEnd: (client: IoClient) => void;
  /** Whether the HSM still has a client. It removes those that fail or are late. */
  readonly isRegistered: (client: IoClient) => boolean;
  /** How many clients the HSM has removed so far. */
  readonly removals: () => number;
}

export class Attachments {
  /** The devices that drive each interrupt line, for the operator. */
  readonly owners = new LineOwners();
  readonly #options: AttachmentsOptions;
  readonly #lines: DeviceLines;
  /**
   * Whether `ready` has resolved. Until then a device that cannot be created rejects `ready`, and
   * `onLost` is not called.
   */
  #wasReady = false;
  /** In the order in which they were added. */
  readonly #attachments = new Map<IoClient, Attachment>();
  readonly #ranges = new DisjointRanges<Attachment>();
  /** The HSM's removals when `#closeLost` last ran. */
  #removals = 0;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
    this.#lines = new DeviceLines(options.lines, LineDriver.SERVICE_VM, this.owners);
  }

  /**
   * Adds a device and returns its I/O client, which the caller must add to the HSM. Throws
   * RANGE_OVERLAP if the range is not free or would never be reached, and what `expectAttachable`
   * throws.
   */
  add(range: AddressRange, device: Device | ThreadPlacement): IoClient {
    expectAttachable(range, device);
    this.#closeLost();
    const name = isThreadPlacement(device) ? device.module.replace(/^.*\//, '') : device.name;
    expectReachable(range, name, this.#options.reservedRanges);
    expectFree(range, name, this.#ranges);
    const attachment = this.#createAttachment(range, device);
    this.#attachments.set(attachment.client, attachment);
    this.#ranges.add(attachment);
    return attachment.client;
  }

  /** A new output of `owner` to line `gsi`. Throws LINE_INVALID. */
  output(gsi: number, owner?: LineOwner): InterruptLine {
    return this.#lines.output(gsi, owner);
  }

  /** Those that the HSM has not removed, in the order in which they were added. */
  get present(): readonly Attachment[] {
    this.#closeLost();
    return [...this.#attachments.values()];
  }

  /** Returns undefined if the client was removed before. Does not close the device. */
  remove(client: IoClient): Attachment | undefined {
    const removed = this.#attachments.get(client);
    if (removed === undefined) return undefined;
    this.#attachments.delete(client);
    this.#ranges.delete(removed);
    return removed;
  }

  /** The device of `client`. Undefined if it has none in this thread. */
  deviceOf(client: IoClient): Device | undefined {
    const device = this.#attachments.get(client)?.device;
    return device instanceof ThreadClient ? undefined : device;
  }

  /** Resolves when every device is created. Rejects as `devicesCreated` does. */
  async ready(): Promise<void> {
    const devices = [...this.#attachments.values()]
      .map(({ device }) => device)
      .filter((device) => device instanceof ThreadClient);
    await devicesCreated(devices, this.#options.startTimeoutMs);
    this.#wasReady = true;
  }

  reset(): void {
    this.#closeLost();
    for (const attachment of this.#attachments.values())
      this.#guard(attachment, 'reset', () => attachment.device.reset?.());
  }

  /**
   * Called before the client of a removed device ends. A device in a thread of its own is closed
   * with its client, and must have taken the reset by then.
   */
  beginRemoval({ device }: Attachment): void {
    if (device instanceof ThreadClient) device.reset();
  }

  /** Closes a device that was removed. It is reset before, so that its interrupt lines are low. */
  closeRemoved(attachment: Attachment): void {
    // A device in a thread of its own is closed with its client.
    if (attachment.device instanceof ThreadClient) return;
    this.#guard(attachment, 'reset', () => attachment.device.reset?.());
    this.#close(attachment);
  }

  close(): void {
    const all = [...this.#attachments.values()];
    this.#attachments.clear();
    this.#ranges.clear();
    for (const attachment of all) this.#close(attachment);
  }

  #close(attachment: Attachment): void {
    const { device } = attachment;
    // A device in a thread of its own is closed when the HSM removes its client.
    if (!(device instanceof ThreadClient)) this.#guard(attachment, 'close', () => device.close?.());
  }

  /** A device that throws does not keep the others from being reset and closed. */
  #guard({ client }: Attachment, during: DeviceCall, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.reportError(client.name, error, during);
    }
  }

  #createAttachment(range: AddressRange, device: Device | ThreadPlacement): Attachment {
    const { memory, lines, reportError, onLost } = this.#options;
    if (!isThreadPlacement(device)) return { range, device, client: new DeviceClient(device, range, reportError) };
    const client: ThreadClient = new ThreadClient({
      placement: device,
      range,
      memory,
      lines,
      owners: this.owners,
      reportError,
      onDeath: (reason, stack) => {
        // `ready` rejects with the thread's error, which is report enough.
        if (!client.isReady && !this.#wasReady) return;
        onLost(client, reason, stack);
        this.remove(client);
      },
      onEnd: () => this.#options.onEnd(client),
    });
    return { range, device: client, client };
  }

  /**
   * Removes and closes the devices whose client the HSM has removed: their ranges are free again.
   */
  #closeLost(): void {
    const { isRegistered } = this.#options;
    // Attaching thousands of devices must not look at all of them each time.
    const removals = this.#options.removals();
    if (removals === this.#removals) return;
    this.#removals = removals;
    const lost = [...this.#attachments.values()].filter(({ client }) => !isRegistered(client));
    for (const { client } of lost) this.remove(client);
    for (const attachment of lost) this.closeRemoved(attachment);
  }
}
