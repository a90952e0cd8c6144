/**
 * LocalSockets: streams between processes of one user, by name.
 *
 * Called by: device-model/network/socket-hub.ts. Implementation: node/linux/local-sockets.ts.
 */

import type { ByteStream } from './byte-stream.js';

export interface LocalSockets {
  /** Where `name` is, for people and for other programs. */
  pathOf(name: string): string;
  /**
   * Takes the lock `name`, which this process then holds until it releases it or ends. Returns
   * undefined if this or another process has it. Throws the host's own error.
   */
  lock(name: string): FileLock | undefined;
  /**
   * Listens at `name`. Removes what a process that has ended left behind there, so the caller must
   * hold a lock that keeps others from listening. Rejects with the host's own error.
   */
  listen(name: string, onConnection: (stream: ByteStream) => void): Promise<LocalServer>;
  /** Rejects with the host's own error if nothing listens at `name`. */
  connect(name: string): Promise<ByteStream>;
}

export interface FileLock {
  /** May be called again. */
  release(): void;
}

export interface LocalServer {
  /** Takes no more connections. Those that exist go on. */
  close(): Promise<void>;
}
