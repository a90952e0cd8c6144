/**
 * DescriptorStreams: stream sockets at a path of this machine, at which other programs connect.
 * Where the host can, a program may send file descriptors along with its bytes.
 *
 * Called by: vfio-user/serve.ts, through `Host.listenForPrograms`.
 * Implementations: node/linux/descriptor-streams.ts, and node/plain-streams.ts, which drops
 * descriptors.
 */

/** Bytes in the order in which they arrived. */
export interface StreamPart {
  /** Valid until the next `receive`. */
  readonly bytes: Uint8Array;
  /**
   * They came with the last message that begins in `bytes`. They belong to the receiver, which
   * closes them by EventFds.close.
   */
  readonly descriptors: readonly number[];
  /** False: nothing else had arrived. `onReadable` is called for what comes later. */
  readonly mayHaveMore: boolean;
}

/** One connected program. */
export interface DescriptorStream {
  /** The program's process, as the system says. Undefined: not known. */
  readonly pid: number | undefined;
  /** Called on the event loop while there is something to receive, and at the end. */
  onReadable: () => void;
  /** Returns at once. Undefined: nothing has arrived. */
  receive(): StreamPart | 'closed' | undefined;
  /** Blocks this thread until there is something to receive, at most `limitMs`. */
  wait(limitMs: number): void;
  /**
   * Blocks this thread, a second at most. Returns false if the program is gone, or has not made
   * room for all of the bytes until then. The stream is useless then: a part may have been sent.
   */
  send(bytes: Uint8Array): boolean;
  /** `onReadable` is not called any more. May be called again. */
  close(): void;
}

export interface DescriptorListener {
  /** Whether descriptors arrive. */
  readonly hasDescriptors: boolean;
  /** Accepts no more programs, and removes the socket. Streams stay open. May be called again. */
  close(): Promise<void>;
}
