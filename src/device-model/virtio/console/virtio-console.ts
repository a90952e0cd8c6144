/**
 * VirtioConsole: the virtio console device with several ports. Port 0 is the console, Linux'
 * /dev/hvc0. The others have names: /dev/virtio-ports/NAME.
 *
 * Called by: VirtioState, for the transport that carries it (PCI or MMIO).
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Messages and buffers that make no sense are given back, counted, and have no other effect. A port
 * whose other end does not read stops its own queue and no other.
 *
 * Source: virtio 1.2, section 5.3.
 */

import { UpcallError } from '../../../io-request/upcall-error.js';
import { QueueWorker } from '../queue-worker.js';
import type { VirtioDevice, VirtioDriver } from '../virtio-device.js';
import type { VirtqueueBuffer } from '../virtqueue.js';
import type { ConsoleBackend } from './console-backend.js';
import { newConsoleCounters, type ConsoleCounters } from './console-counters.js';
import {
  COMMUNICATION_CONTROLLER,
  CONSOLE_DEVICE_TYPE,
  ConsoleConfig,
  ConsoleFeature,
  ConsoleQueue,
  ControlEvent,
  ControlMessage,
  portOf,
  receiveQueueOf,
} from './console-layout.js';
import { ConsolePort } from './console-port.js';
import { ControlQueue, type ControlContents } from './control-queue.js';

/** Limit of the ports with names. The console is an additional port. */
export const MAX_NAMED_PORTS = 30;
/** Also the name of a file in the guest. */
const PORT_NAME = /^(?!\.\.?$)[\w.-]{1,64}$/;
const PORT_QUEUE_SIZE = 128;
const CONTROL_QUEUE_SIZE = 64;

export interface NamedPort {
  /** 1 to 64 letters, digits, dots, hyphens and underscores. */
  readonly name: string;
  readonly backend: ConsoleBackend;
}

export interface VirtioConsoleOptions {
  /** What the console is connected to. Default: there is no console, only ports with names. */
  readonly console?: ConsoleBackend;
  /** Ports 1 and on. */
  readonly ports?: readonly NamedPort[];
  /** Default: `virtio-console`. */
  readonly name?: string;
}

/** What belongs to one driver, from its activation to the reset. */
interface Session {
  readonly driver: VirtioDriver;
  readonly isMultiport: boolean;
  readonly control: ControlQueue;
  readonly messages: QueueWorker | undefined;
}

export class VirtioConsole implements VirtioDevice {
  readonly name: string;
  readonly type = CONSOLE_DEVICE_TYPE;
  readonly pciClass = COMMUNICATION_CONTROLLER;
  readonly features: readonly number[] = Object.values(ConsoleFeature);
  readonly queueSizes: readonly number[];
  readonly config = new Uint8Array(ConsoleConfig.BYTES);
  /** Resolves when all backends are closed, after `close`. */
  readonly closed: Promise<void>;
  readonly #view = new DataView(this.config.buffer);
  readonly #counters = newConsoleCounters();
  /** By their numbers. */
  readonly #ports: readonly (ConsolePort | undefined)[];
  readonly #message = new Uint8Array(ControlMessage.BYTES);
  readonly #messageView = new DataView(this.#message.buffer);
  #resolveClosed: () => void = () => undefined;
  #session: Session | undefined;

  /** Throws OPTION_INVALID for a wrong name, for a second port of a name, and for too many. */
  constructor({ console, ports = [], name = 'virtio-console' }: VirtioConsoleOptions) {
    checkNames(ports);
    this.name = name;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#ports = [console === undefined ? undefined : this.#port(0, console), ...this.#namedPorts(ports)];
    this.queueSizes = this.#ports.flatMap((_, port) => [
      PORT_QUEUE_SIZE,
      PORT_QUEUE_SIZE,
      ...(port === 0 ? [CONTROL_QUEUE_SIZE, CONTROL_QUEUE_SIZE] : []),
    ]);
    this.#view.setUint32(ConsoleConfig.MAX_PORTS, this.#ports.length, true);
    for (const port of this.#ports) port?.connect();
  }

  get counters(): Readonly<ConsoleCounters> {
    return this.#counters;
  }

  /** Control messages that wait for the driver. Bounded: see ControlQueue. */
  get waitingMessages(): number {
    return this.#session?.control.waiting ?? 0;
  }

  /** The console's size, 1 to 65535 each. 0: unknown. */
  resize(columns: number, rows: number): void {
    this.#view.setUint16(ConsoleConfig.COLUMNS, columns, true);
    this.#view.setUint16(ConsoleConfig.ROWS, rows, true);
    const session = this.#session;
    if (session?.driver.has(ConsoleFeature.SIZE) !== true) return;
    session.driver.configChanged();
    if (this.#ports[0] !== undefined && session.isMultiport) session.control.send(0, ControlEvent.RESIZE);
  }

  writeConfig(offset: number, _size: number, value: number): void {
    if (offset === ConsoleConfig.EMERGENCY_WRITE) this.#ports[0]?.emergency(Uint8Array.of(value));
  }

  activate(driver: VirtioDriver): void {
    const isMultiport = driver.has(ConsoleFeature.MULTIPORT);
    const messages = isMultiport ? driver.queue(ConsoleQueue.CONTROL_TRANSMIT) : undefined;
    const session: Session = {
      driver,
      isMultiport,
      control: new ControlQueue({
        queue: isMultiport ? driver.queue(ConsoleQueue.CONTROL_RECEIVE) : undefined,
        contentsOf: (port, event) => this.#contentsOf(port, event),
        counters: this.#counters,
      }),
      messages:
        messages &&
        new QueueWorker({
          queue: messages,
          serve: (buffer) => {
            this.#receive(buffer, session.control);
            messages.push(buffer, 0);
            return false;
          },
        }),
    };
    this.#session = session;
    for (const [index, port] of this.#ports.entries()) {
      if (port === undefined || (index > 0 && !isMultiport)) continue;
      const queue = receiveQueueOf(index);
      port.attach(driver.queue(queue), driver.queue(queue + 1));
      // A driver without MULTIPORT sends no PORT_OPEN.
      if (!isMultiport) port.setGuestOpen(true);
    }
  }

  notified(queue: number): void {
    if (queue === ConsoleQueue.CONTROL_RECEIVE) this.#session?.control.kick();
    else if (queue === ConsoleQueue.CONTROL_TRANSMIT) this.#session?.messages?.kick();
    else if (queue % 2 === 0) this.#ports[portOf(queue)]?.kickInput();
    else this.#ports[portOf(queue)]?.kickOutput();
  }

  reset(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.control.stop();
    session?.messages?.stop();
    for (const port of this.#ports) port?.detach();
  }

  close(): void {
    // The backends' `close` never rejects.
    void Promise.all(this.#ports.flatMap((port) => port?.close() ?? [])).then(this.#resolveClosed);
  }

  #namedPorts(ports: readonly NamedPort[]): readonly ConsolePort[] {
    return ports.map(({ name, backend }, index) => this.#port(index + 1, backend, name));
  }

  #port(index: number, backend: ConsoleBackend, name?: string): ConsolePort {
    return new ConsolePort({
      ...(name === undefined ? {} : { name }),
      backend,
      counters: this.#counters,
      onOpen: () => this.#session?.control.send(index, ControlEvent.PORT_OPEN),
      onUnplug: () => this.#session?.control.remove(index),
    });
  }

  /** A message of the driver. */
  #receive(buffer: VirtqueueBuffer, control: ControlQueue): void {
    if (buffer.read(0, this.#message) < ControlMessage.BYTES) {
      this.#counters.malformedBuffers++;
      return;
    }
    const event = this.#messageView.getUint16(ControlMessage.EVENT, true);
    const value = this.#messageView.getUint16(ControlMessage.VALUE, true);
    if (event === ControlEvent.DEVICE_READY) {
      // The number of a port means nothing in it. 0: the driver has failed.
      if (value === 1) this.#announcePorts(control);
      return;
    }
    const index = this.#messageView.getUint32(ControlMessage.PORT, true);
    const port = this.#ports[index];
    if (port === undefined) this.#counters.refusedMessages++;
    else if (event === ControlEvent.PORT_OPEN) port.setGuestOpen(value === 1);
    else if (event !== ControlEvent.PORT_READY) this.#counters.refusedMessages++;
    else if (value === 1 && !port.isUnplugged) this.#describePort(index, port, control);
  }

  #announcePorts(control: ControlQueue): void {
    for (const [index, port] of this.#ports.entries()) if (port?.isUnplugged === false) control.add(index);
  }

  /**
   * Linux creates its console when it gets CONSOLE_PORT, so that comes before the other messages.
   */
  #describePort(index: number, port: ConsolePort, control: ControlQueue): void {
    if (port.name === undefined) control.send(index, ControlEvent.CONSOLE_PORT);
    else control.send(index, ControlEvent.PORT_NAME);
    const hasSize = this.#view.getUint16(ConsoleConfig.COLUMNS, true) > 0;
    if (port.name === undefined && hasSize && this.#session?.driver.has(ConsoleFeature.SIZE) === true)
      control.send(index, ControlEvent.RESIZE);
    if (port.isOpen) control.send(index, ControlEvent.PORT_OPEN);
  }

  #contentsOf(index: number, event: ControlEvent): ControlContents {
    const port = this.#ports[index];
    if (event === ControlEvent.PORT_OPEN) return { value: port?.isOpen === true ? 1 : 0 };
    if (event === ControlEvent.PORT_NAME) return { value: 1, more: new TextEncoder().encode(port?.name) };
    // Columns and rows, as in the configuration. Older drivers of Linux read rows and columns.
    if (event === ControlEvent.RESIZE) return { value: 0, more: this.config.subarray(0, ConsoleConfig.MAX_PORTS) };
    return { value: 1 };
  }
}

export function isPortName(name: string): boolean {
  return PORT_NAME.test(name);
}

function checkNames(ports: readonly NamedPort[]): void {
  const names = ports.map(({ name }) => name);
  const wrong = names.find((name, index) => !isPortName(name) || names.indexOf(name) !== index);
  if (wrong !== undefined)
    throw new UpcallError('OPTION_INVALID', `invalid name of a port, or the second one of its name: "${wrong}"`, {
      remedy: 'Give each port a name of its own of 1 to 64 letters, digits, dots, hyphens and underscores',
    });
  if (ports.length > MAX_NAMED_PORTS)
    throw new UpcallError('OPTION_INVALID', `${ports.length} ports with names, and a console has ${MAX_NAMED_PORTS}`, {
      remedy: 'Attach a second console for the others',
    });
}
