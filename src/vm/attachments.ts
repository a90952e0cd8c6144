/**
 * Attachments: the devices of one User VM and their ranges. Ranges of devices may not overlap.
 *
 * Called by: UserVm, to place, reset and close devices.
 */

import { atMost } from '../sync/bounded-wait.js';
import { DeviceClient, type ReportDeviceError } from '../device-model/device-client.js';
import type { Device } from '../device-model/device.js';
import { isThreadPlacement, ThreadClient, type ThreadPlacement } from '../device-model/placement/in-own-thread.js';
import { describeRange, mmio, overlaps, ports, type AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';
import type { OwnRange } from '../hypervisor/hypercalls.js';
import { UpcallError } from '../io-request/upcall-error.js';

interface Attachment {
  readonly range: AddressRange;
  readonly client: IoClient;
  readonly device: Device | ThreadClient;
}

export interface AttachmentsOptions {
  /** Ranges that never become requests: the hypervisor answers them itself. */
  readonly ownRanges: readonly OwnRange[];
  readonly memory: GuestMemory;
  /** How long `ready` waits for devices in threads of their own, in ms. */
  readonly startTimeoutMs: number;
  readonly reportError: ReportDeviceError;
  /** A device's thread ended, and its device was not closed. */
  readonly onLost: (client: IoClient, reason: string) => void;
  /** The thread of a removed client has ended. */
  readonly onEnd: (client: IoClient) => void;
  /** The HSM's current clients. It removes those that fail or are late. */
  readonly clients: () => readonly IoClient[];
}

export class Attachments {
  readonly #options: AttachmentsOptions;
  /** `ready` has resolved. Until then a device that cannot be created is its error and no event. */
  #wasReady = false;
  #attachments: Attachment[] = [];

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  /**
   * The I/O client for a device at a range. Throws RANGE_OVERLAP, naming both, if another device is
   * there.
   */
  place(range: AddressRange, device: Device | ThreadPlacement): IoClient {
    this.#forgetLost();
    const name = isThreadPlacement(device) ? device.module.replace(/^.*\//, '') : device.name;
    this.#expectReachable(range, name);
    const other = this.#attachments.find((attachment) => overlaps(attachment.range, range));
    if (other !== undefined) {
      throw new UpcallError(
        'RANGE_OVERLAP',
        `${name} at ${describeRange(range)} overlaps ${other.client.name} at ${describeRange(other.range)}`,
        { remedy: 'Attach one of them elsewhere, or use an I/O client, whose ranges may overlap' },
      );
    }
    const attachment = this.#attachment(range, device);
    this.#attachments.push(attachment);
    return attachment.client;
  }

  /** Returns false if the client was removed before. Does not close the device. */
  forget(client: IoClient): boolean {
    const before = this.#attachments.length;
    this.#attachments = this.#attachments.filter((attachment) => attachment.client !== client);
    return this.#attachments.length < before;
  }

  /** The device of `client`. Undefined if it has none in this thread. */
  deviceOf(client: IoClient): Device | undefined {
    const device = this.#attachments.find((attachment) => attachment.client === client)?.device;
    return device instanceof ThreadClient ? undefined : device;
  }

  /**
   * Resolves when every device in a thread of its own exists. Rejects with that thread's error, and
   * with DEVICE_MODULE_INVALID after `startTimeoutMs`: a module may wait for something that never
   * comes.
   */
  async ready(): Promise<void> {
    const { startTimeoutMs: limitMs } = this.#options;
    const devices = this.#attachments.map(({ device }) => device).filter((device) => device instanceof ThreadClient);
    if (devices.length > 0) await atMost(limitMs, Promise.all(devices.map(({ ready }) => ready)));
    const late = devices.filter(({ isReady }) => !isReady).map(({ name }) => name);
    if (late.length > 0)
      throw new UpcallError(
        'DEVICE_MODULE_INVALID',
        `${late.join(', ')}: the device was not created within ${limitMs / 1000} s`,
        { remedy: 'Let the module and its createDevice end; open what takes long at the first access' },
      );
    this.#wasReady = true;
  }

  reset(): void {
    this.#forgetLost();
    for (const attachment of this.#attachments) this.#guard(attachment, () => attachment.device.reset?.());
  }

  /** Devices in threads of their own are closed with their clients. */
  close(): void {
    for (const attachment of this.#attachments) this.#close(attachment);
    this.#attachments = [];
  }

  #close(attachment: Attachment): void {
    const { device } = attachment;
    if (!(device instanceof ThreadClient)) this.#guard(attachment, () => device.close?.());
  }

  /** A device that throws does not keep the others from being reset and closed. */
  #guard({ client }: Attachment, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.reportError(client.name, error);
    }
  }

  /** A device in such a range would be attached but never reached. */
  #expectReachable(range: AddressRange, name: string): void {
    for (const { type, start, end, what } of this.#options.ownRanges) {
      const own = type === 'port' ? ports(start, end - start + 1) : mmio(start, end - start + 1);
      if (overlaps(own, range))
        throw new UpcallError(
          'RANGE_OVERLAP',
          `${name} at ${describeRange(range)} would never be reached: ${describeRange(own)} is ${what}`,
          { remedy: 'Attach it elsewhere' },
        );
    }
  }

  #attachment(range: AddressRange, device: Device | ThreadPlacement): Attachment {
    const { memory, reportError, onLost } = this.#options;
    if (!isThreadPlacement(device)) return { range, device, client: new DeviceClient(device, range, reportError) };
    const client = new ThreadClient({
      placement: device,
      range,
      memory,
      reportError,
      onDeath: (dead, reason) => {
        // `ready` rejects with this error.
        if (!dead.isReady && !this.#wasReady) return;
        onLost(dead, reason);
        this.forget(dead);
      },
      onEnd: this.#options.onEnd,
    });
    return { range, device: client, client };
  }

  /** Closes devices whose client the HSM removed: their ranges are free again. */
  #forgetLost(): void {
    const clients = this.#options.clients();
    const lost = this.#attachments.filter(({ client }) => !clients.includes(client));
    this.#attachments = this.#attachments.filter(({ client }) => clients.includes(client));
    for (const attachment of lost) this.#close(attachment);
  }
}
