/**
 * ConsoleBackend: the other end of a port of a virtio console: a terminal, a file, a socket.
 *
 * Called by: ConsolePort. Implementations: those of the command line, and programs.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Neither side keeps bytes for the other: each call returns how many were taken, and another call
 * follows when there is room. So a side that does not read stops the other one, and no queue grows.
 */

export interface ConsoleBackend {
  /** Called once, before the other methods. The backend gives its bytes and its state to `port`. */
  connect(port: ConsolePortHandle): void;
  /**
   * Takes bytes of the guest, which are valid during the call. Returns how many it took. If not
   * all, it calls `port.resume` later, when it takes more.
   */
  write(bytes: Uint8Array): number;
  /**
   * The guest takes more bytes, after a `receive` that was not complete. Mostly called during an
   * access of the guest, so implementations must defer longer work.
   */
  room(): void;
  /** Releases files and sockets. Called once. Never rejects. */
  close(): Promise<void>;
}

/** A port, as its backend sees it. */
export interface ConsolePortHandle {
  /**
   * Gives bytes to the guest. Returns how many it took: none while no program of the guest has the
   * port open. If not all, `ConsoleBackend.room` follows.
   */
  receive(bytes: Uint8Array): number;
  /**
   * Whether there is something at the other end, which the guest sees. While there is not, the
   * guest's bytes are dropped. At first: there is not.
   */
  setOpen(isOpen: boolean): void;
  /** The backend takes bytes again. */
  resume(): void;
  /** Removes the port from the guest for good. */
  unplug(): void;
}
