/**
 * TerminalBackend: the session's terminal at the other end of the virtio console, for `--console`.
 *
 * Called by: VirtioConsole, as a ConsoleBackend; runSession, which attaches its streams to it.
 *
 * A slow reader of standard output slows the guest. A reader that has stopped must not stop the
 * guest: its driver may wait for the buffer with interrupts disabled. So after ROOM_WAIT_MS
 * (console-output.ts) the guest's output is dropped.
 */

import type { ConsoleBackend, ConsolePortHandle } from '../../device-model/virtio/console/console-backend.js';

export interface SessionTerminal {
  readonly output: {
    write(bytes: Uint8Array): void;
    /** Undefined if there is room. Otherwise resolves when there is, or after some time. */
    room(): Promise<void> | undefined;
  };
  /** The guest takes more input. Called during its access. */
  readonly onInputRoom: () => void;
  /** Called once, when output is dropped. */
  readonly onDropped: () => void;
}

export class TerminalBackend implements ConsoleBackend {
  #port: ConsolePortHandle | undefined;
  #terminal: SessionTerminal | undefined;
  #isWaiting = false;
  /** Whether the next bytes have waited already. */
  #hasWaited = false;
  #hasDropped = false;

  /** Must be called before the VM starts. */
  attach(terminal: SessionTerminal): void {
    this.#terminal = terminal;
  }

  connect(port: ConsolePortHandle): void {
    this.#port = port;
    port.setOpen(true);
  }

  write(bytes: Uint8Array): number {
    if (this.#isWaiting) return 0;
    const room = this.#terminal?.output.room();
    if (room !== undefined && !this.#hasWaited) {
      this.#isWaiting = true;
      void room.then(() => {
        this.#isWaiting = false;
        this.#hasWaited = true;
        this.#port?.resume();
      });
      return 0;
    }
    this.#hasWaited = false;
    if (room === undefined) this.#terminal?.output.write(bytes);
    else if (!this.#hasDropped) {
      this.#hasDropped = true;
      this.#terminal?.onDropped();
    }
    return bytes.length;
  }

  room(): void {
    this.#terminal?.onInputRoom();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Input for the guest. Returns how many bytes it took. */
  receive(bytes: Uint8Array): number {
    return this.#port?.receive(bytes) ?? 0;
  }
}
