/**
 * VirtioNet: a virtio network card, plugged into a NetworkPort.
 *
 * Called by: VirtioState, for the transport that carries it (PCI or MMIO); the port, as a
 * NetworkReceiver.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Buffers of the driver that make no sense are given back, counted, and have no other effect.
 *
 * Source: virtio 1.2, section 5.1.
 */

import {
  destinationOf,
  ETHERNET_HEADER_BYTES,
  macBytes,
  macText,
  MAX_FRAME_BYTES,
  parseMac,
  randomMac,
  type Mac,
} from '../../network/ethernet.js';
import type { NetworkPort, NetworkReceiver } from '../../network/network-port.js';
import type { Offload } from '../../network/offload.js';
import { QueueWorker } from '../queue-worker.js';
import type { VirtioDevice, VirtioDriver } from '../virtio-device.js';
import type { Virtqueue, VirtqueueBuffer } from '../virtqueue.js';
import { ControlCommands } from './control-commands.js';
import { newNetCounters, type NetCounters } from './net-counters.js';
import {
  ControlAck,
  ETHERNET_CONTROLLER,
  NetConfig,
  NetFeature,
  NETWORK_DEVICE_TYPE,
  NetQueue,
  PacketHeader,
  RECEIVE_OFFLOADS,
  SEND_OFFLOADS,
  STATUS_LINK_UP,
} from './net-layout.js';
import { offloadOf } from './packet-offload.js';
import { ReceiveFilter } from './receive-filter.js';
import { ReceiveQueue } from './receive-queue.js';

export interface VirtioNetOptions {
  readonly port: NetworkPort;
  /** Such as `52:54:00:12:34:56`. Default: a random one, locally administered. */
  readonly mac?: string;
  /** Default: `virtio-net`. */
  readonly name?: string;
  /**
   * Whether checksums and TCP segmentation are offered to the driver, where the port takes
   * unfinished frames. Default: they are.
   */
  readonly offloads?: boolean;
}

const { CSUM, HOST_TSO4, HOST_TSO6 } = NetFeature;
const OFFLOADS: ReadonlySet<number> = new Set([...SEND_OFFLOADS, ...RECEIVE_OFFLOADS]);

/** What belongs to one driver, from its activation to the reset. */
interface Session {
  readonly driver: VirtioDriver;
  readonly filter: ReceiveFilter;
  readonly receiving: ReceiveQueue | undefined;
  readonly transmitting: QueueWorker | undefined;
  readonly commands: QueueWorker | undefined;
}

export class VirtioNet implements VirtioDevice, NetworkReceiver {
  readonly name: string;
  readonly type = NETWORK_DEVICE_TYPE;
  readonly pciClass = ETHERNET_CONTROLLER;
  readonly features: readonly number[];
  /** Receive, transmit, control. */
  readonly queueSizes = [256, 256, 64];
  readonly config = new Uint8Array(NetConfig.BYTES);
  readonly #port: NetworkPort;
  readonly #mac: Mac;
  readonly #counters = newNetCounters();
  /** The packet that is being sent. One is enough: `NetworkPort.send` keeps no bytes. */
  readonly #packet = new Uint8Array(PacketHeader.BYTES + MAX_FRAME_BYTES);
  #session: Session | undefined;

  /** Throws OPTION_INVALID for a wrong `mac`. */
  constructor({ port, mac, name = 'virtio-net', offloads = true }: VirtioNetOptions) {
    this.name = name;
    const isOffered = offloads && port.takesOffloads === true;
    this.features = Object.values(NetFeature).filter((feature) => isOffered || !OFFLOADS.has(feature));
    this.#port = port;
    this.#mac = mac === undefined ? randomMac() : parseMac(mac);
    this.#showMac(this.#mac);
    port.connect(this);
  }

  /** The card's own address, as text. A driver may use another one. */
  get mac(): string {
    return macText(this.#mac);
  }

  get counters(): Readonly<NetCounters> {
    return this.#counters;
  }

  get isLinkUp(): boolean {
    return this.config[NetConfig.STATUS] === STATUS_LINK_UP;
  }

  /** Of NetworkReceiver. */
  get takesOffloads(): boolean {
    const driver = this.#session?.driver;
    return driver !== undefined && RECEIVE_OFFLOADS.every((feature) => driver.has(feature));
  }

  activate(driver: VirtioDriver): void {
    const has = (feature: number): boolean => driver.has(feature);
    const queue = (index: number): Virtqueue | undefined => driver.queue(index);
    const filter = new ReceiveFilter(this.#mac);
    const commands = new ControlCommands({ filter, has, onMac: () => this.#showMac(filter.mac) });
    const receive = queue(NetQueue.RECEIVE);
    this.#session = {
      driver,
      filter,
      receiving:
        receive &&
        new ReceiveQueue({ queue: receive, isMergeable: has(NetFeature.MRG_RXBUF), counters: this.#counters }),
      transmitting: worker(queue(NetQueue.TRANSMIT), (buffer) => this.#transmit(buffer)),
      commands: has(NetFeature.CTRL_VQ)
        ? worker(queue(NetQueue.CONTROL), (buffer) => this.#execute(commands, buffer))
        : undefined,
    };
  }

  notified(queue: number): void {
    if (queue === NetQueue.RECEIVE) this.#session?.receiving?.kick();
    else if (queue === NetQueue.TRANSMIT) this.#session?.transmitting?.kick();
    else this.#session?.commands?.kick();
  }

  reset(): void {
    const session = this.#session;
    session?.receiving?.stop();
    session?.transmitting?.stop();
    session?.commands?.stop();
    this.#session = undefined;
    this.#showMac(this.#mac);
  }

  close(): void {
    // The port reports its own errors.
    void this.#port.close();
  }

  /** From the port. */
  receive(frame: Uint8Array, offload?: Offload): void {
    if (this.#session?.receiving === undefined) this.#counters.droppedNoDriver++;
    else if (!this.#session.filter.accepts(destinationOf(frame))) this.#counters.filtered++;
    else this.#session.receiving.receive(frame, offload);
  }

  /** From the port. */
  setLink(isUp: boolean): void {
    if (isUp === this.isLinkUp) return;
    this.config[NetConfig.STATUS] = isUp ? STATUS_LINK_UP : 0;
    this.#session?.driver.configChanged();
  }

  /** Sends the packet in `buffer`. Returns how many bytes were written to it: none. */
  #transmit(buffer: VirtqueueBuffer): number {
    const counters = this.#counters;
    const frameBytes = buffer.readableBytes - PacketHeader.BYTES;
    if (frameBytes < ETHERNET_HEADER_BYTES || frameBytes > MAX_FRAME_BYTES) {
      counters.malformedBuffers++;
      return 0;
    }
    const packet = this.#packet.subarray(0, PacketHeader.BYTES + frameBytes);
    const read = buffer.read(0, packet);
    const frame = packet.subarray(PacketHeader.BYTES);
    const offload = offloadOf(packet, frame);
    if (read < packet.length || offload === 'malformed' || !this.#isAccepted(offload)) {
      counters.malformedBuffers++;
    } else if (!this.isLinkUp) {
      counters.sentWithoutLink++;
    } else {
      counters.sentFrames++;
      counters.sentBytes += frameBytes;
      this.#port.send(frame, offload);
    }
    return 0;
  }

  /** Executes the command in `buffer`. Returns how many bytes were written to it. */
  #execute(commands: ControlCommands, buffer: VirtqueueBuffer): number {
    if (buffer.writableBytes === 0) {
      this.#counters.malformedBuffers++;
      return 0;
    }
    const answer = commands.execute(buffer);
    if (answer !== ControlAck.OK) this.#counters.refusedCommands++;
    return buffer.write(0, Uint8Array.of(answer));
  }

  /** Whether the driver may leave that to the port: it was offered, and the driver took it. */
  #isAccepted(offload: Offload | undefined): boolean {
    if (offload === undefined) return true;
    const { segments } = offload;
    const has = (feature: number): boolean => this.#session?.driver.has(feature) === true;
    return has(CSUM) && (segments === undefined || has(segments.isIpv6 ? HOST_TSO6 : HOST_TSO4));
  }

  #showMac(mac: Mac): void {
    this.config.set(macBytes(mac), NetConfig.MAC);
  }
}

/** Gives each buffer back at once, with the number of bytes that `serve` has written. */
function worker(queue: Virtqueue | undefined, serve: (buffer: VirtqueueBuffer) => number): QueueWorker | undefined {
  return (
    queue &&
    new QueueWorker({
      queue,
      serve: (buffer) => {
        queue.push(buffer, serve(buffer));
        return false;
      },
    })
  );
}
