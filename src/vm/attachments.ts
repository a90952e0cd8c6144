/**
 * Attachments: the devices of one User VM and where they are. UserVm asks it to place, reset and close them; ranges of
 * devices may not overlap.
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
  /** Where the hypervisor would never ask a device. */
  readonly ownRanges: readonly OwnRange[];
  readonly memory: GuestMemory;
  /** How long `ready` waits for devices in threads of their own. */
  readonly startTimeoutMs: number;
  readonly reportError: ReportDeviceError;
  /** A device's thread ended although nobody closed it. */
  readonly onLost: (client: IoClient, reason: string) => void;
  /** The thread of a client that was taken out has ended. */
  readonly onEnd: (client: IoClient) => void;
  /** The clients that the HSM has now: it takes out those that fail or are late. */
  readonly clients: () => readonly IoClient[];
}

export class Attachments {
  readonly #options: AttachmentsOptions;
  /** Whether somebody has waited for the devices in threads, and would have heard of one that cannot be made. */
  #wasReady = false;
  #attachments: Attachment[] = [];

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  /** The I/O client for a device at a range. Throws RANGE_OVERLAP, naming both, when another device is there. */
  place(range: AddressRange, device: Device | ThreadPlacement): IoClient {
    this.#forgetLost();
    const name = isThreadPlacement(device) ? device.module.replace(/^.*\//, '') : device.name;
    this.#expectAsked(range, name);
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

  /** False when the client is not here any more. Does not close the device. */
  forget(client: IoClient): boolean {
    const before = this.#attachments.length;
    this.#attachments = this.#attachments.filter((attachment) => attachment.client !== client);
    return this.#attachments.length < before;
  }

  /** The device of `client`, if there is one and it runs in this thread. */
  deviceOf(client: IoClient): Device | undefined {
    const device = this.#attachments.find((attachment) => attachment.client === client)?.device;
    return device instanceof ThreadClient ? undefined : device;
  }

  /**
   * Resolves when every device that is made in a thread of its own is made; rejects with what went wrong, and with
   * DEVICE_MODULE_INVALID when its time is over: a module may wait for something that never comes.
   */
  async ready(): Promise<void> {
    const { startTimeoutMs: limitMs } = this.#options;
    const devices = this.#attachments.map(({ device }) => device).filter((device) => device instanceof ThreadClient);
    if (devices.length > 0) await atMost(limitMs, Promise.all(devices.map(({ ready }) => ready)));
    const late = devices.filter(({ isReady }) => !isReady).map(({ name }) => name);
    if (late.length > 0)
      throw new UpcallError(
        'DEVICE_MODULE_INVALID',
        `${late.join(', ')}: the device is not made after ${limitMs / 1000} s`,
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

  /** A device that throws is its own trouble: the others are reset and closed all the same. */
  #guard({ client }: Attachment, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.reportError(client.name, error);
    }
  }

  /** A device there would be accepted and never hear of the guest. */
  #expectAsked(range: AddressRange, name: string): void {
    for (const { type, start, end, what } of this.#options.ownRanges) {
      const own = type === 'port' ? ports(start, end - start + 1) : mmio(start, end - start + 1);
      if (overlaps(own, range))
        throw new UpcallError(
          'RANGE_OVERLAP',
          `${name} at ${describeRange(range)} would not be asked: ${describeRange(own)} is ${what}`,
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
        // Whoever starts the VM hears of a device that could not be made.
        if (!dead.isReady && !this.#wasReady) return;
        onLost(dead, reason);
        this.forget(dead);
      },
      onEnd: this.#options.onEnd,
    });
    return { range, device: client, client };
  }

  /** Devices that the HSM took out: their ranges are free again. */
  #forgetLost(): void {
    const clients = this.#options.clients();
    const lost = this.#attachments.filter(({ client }) => !clients.includes(client));
    this.#attachments = this.#attachments.filter(({ client }) => clients.includes(client));
    for (const attachment of lost) this.#close(attachment);
  }
}
