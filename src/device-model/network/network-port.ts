/**
 * NetworkPort: what a network card is plugged into: a hub, a program that is a network, …
 *
 * Called by: a network card (virtio/net/). Implementations: the ports of this folder.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * As a cable, a port may lose frames, and reports no loss to the sender. It never blocks and keeps
 * a bounded number of bytes. What it drops, it counts.
 */

import type { Offload } from './offload.js';

export interface NetworkPort {
  /** Whether it takes unfinished frames. Default: it does not. */
  readonly takesOffloads?: boolean;
  /** Plugs the card in. Called once, before `send`. It may call the receiver at once. */
  connect(receiver: NetworkReceiver): void;
  /**
   * Sends a frame of ETHERNET_HEADER_BYTES to MAX_FRAME_BYTES. Its bytes are valid during the call.
   * `offload`: what is left to do with it; only where `takesOffloads` is true.
   */
  send(frame: Uint8Array, offload?: Offload): void;
  /** Ends it. No receiver is called afterwards. */
  close(): Promise<void>;
}

/** The card, as its port calls it. */
export interface NetworkReceiver {
  /** Whether it takes unfinished frames, at present. Default: it does not. */
  readonly takesOffloads?: boolean;
  /** A frame has arrived, as in `NetworkPort.send`. Its bytes are valid during the call. */
  receive(frame: Uint8Array, offload?: Offload): void;
  /** Whether the other end of the cable works. Before the first call: it does not. */
  setLink(isUp: boolean): void;
}
