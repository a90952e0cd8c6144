/**
 * ConsolePort: one port of a virtio console, between its queues and its backend.
 *
 * Called by: VirtioConsole; the backend as a ConsolePortHandle.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * The port and its backend outlive drivers: between two of them the backend waits.
 */

import type { Virtqueue } from '../virtqueue.js';
import type { ConsoleBackend, ConsolePortHandle } from './console-backend.js';
import type { ConsoleCounters } from './console-counters.js';
import { PortInput } from './port-input.js';
import { PortOutput } from './port-output.js';

export interface ConsolePortOptions {
  /** The guest finds it by this name. Undefined: it is the console. */
  readonly name?: string;
  readonly backend: ConsoleBackend;
  readonly counters: ConsoleCounters;
  /** The backend has called `setOpen` with another value than before. Not called at an unplug. */
  readonly onOpen: () => void;
  /** The backend has unplugged the port. */
  readonly onUnplug: () => void;
}

export class ConsolePort implements ConsolePortHandle {
  readonly name: string | undefined;
  readonly #options: ConsolePortOptions;
  readonly #backend: ConsoleBackend;
  readonly #counters: ConsoleCounters;
  #input: PortInput | undefined;
  #output: PortOutput | undefined;
  #isOpen = false;
  #isUnplugged = false;
  #isGuestOpen = false;
  /** Whether the backend waits for a guest that opens the port. */
  #isAwaited = false;

  constructor(options: ConsolePortOptions) {
    this.name = options.name;
    this.#options = options;
    this.#backend = options.backend;
    this.#counters = options.counters;
  }

  /** Apart from the constructor, as the backend may call back at once. */
  connect(): void {
    this.#backend.connect(this);
  }

  /** Whether there is something at the other end. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isUnplugged;
  }

  get isUnplugged(): boolean {
    return this.#isUnplugged;
  }

  /** Whether a program of the guest has it open. */
  get isGuestOpen(): boolean {
    return this.#isGuestOpen;
  }

  /** A driver is ready. The queues are undefined if it has not enabled them. */
  attach(receive: Virtqueue | undefined, transmit: Virtqueue | undefined): void {
    const counters = this.#counters;
    this.#input = receive && new PortInput({ queue: receive, room: () => this.#backend.room(), counters });
    this.#output = transmit && new PortOutput({ queue: transmit, write: (bytes) => this.#write(bytes), counters });
  }

  /** At a reset. */
  detach(): void {
    this.#isAwaited ||= this.#input?.isAwaited === true;
    this.#input?.stop();
    this.#output?.stop();
    this.#input = this.#output = undefined;
    this.#isGuestOpen = false;
  }

  /** The driver has added buffers for what it is to receive. */
  kickInput(): void {
    this.#input?.kick();
  }

  /** The driver has added buffers with bytes. */
  kickOutput(): void {
    this.#output?.kick();
  }

  setGuestOpen(isOpen: boolean): void {
    this.#isGuestOpen = isOpen;
    if (!isOpen || !this.#isAwaited) return;
    this.#isAwaited = false;
    this.#backend.room();
  }

  /** A character of the emergency write, which the host may drop. */
  emergency(character: Uint8Array): void {
    this.#counters.emergencyCharacters++;
    if (this.isOpen) this.#backend.write(character);
  }

  receive(bytes: Uint8Array): number {
    if (this.#isUnplugged || !this.#isGuestOpen || this.#input === undefined) {
      this.#isAwaited = bytes.length > 0;
      return 0;
    }
    return this.#input.receive(bytes);
  }

  setOpen(isOpen: boolean): void {
    if (isOpen === this.#isOpen || this.#isUnplugged) return;
    this.#isOpen = isOpen;
    this.#options.onOpen();
    // A buffer that waited is served now: its bytes are dropped, or go to what is at the other end
    // now.
    this.#output?.resume();
  }

  resume(): void {
    this.#output?.resume();
  }

  unplug(): void {
    if (this.#isUnplugged) return;
    this.#isUnplugged = true;
    this.#options.onUnplug();
    this.#output?.resume();
  }

  close(): Promise<void> {
    return this.#backend.close();
  }

  #write(bytes: Uint8Array): number {
    if (!this.isOpen) {
      this.#counters.droppedBytes += bytes.length;
      return bytes.length;
    }
    const taken = this.#backend.write(bytes);
    this.#counters.outputBytes += taken;
    return taken;
  }
}
