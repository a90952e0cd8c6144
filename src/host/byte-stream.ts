/**
 * ByteStream: a connection to another process. Bytes arrive in order and in parts of any size.
 *
 * Called by: device-model/network/. Implementation: node/socket-stream.ts.
 */

export interface ByteStream {
  /** Bytes that were written and that the system has not taken yet. */
  readonly pendingBytes: number;
  /**
   * Starts to read. Called once. Bytes that arrive before are kept. `onEnd` is called once, at the
   * end that the other side or an error makes, and not after `end` or `close`.
   */
  start(onData: (bytes: Uint8Array) => void, onEnd: () => void): void;
  /** Sends the bytes, which belong to the stream afterwards. Does nothing after the end. */
  write(bytes: Uint8Array): void;
  /** Ends the stream when the other side has what was written. Nothing more is read. */
  end(): void;
  /** Ends the stream at once. Bytes that are pending may be lost. */
  close(): void;
}
