/**
 * NetworkPort: what a network card is plugged into: a hub, a program that is a network, …
 *
 * Called by: a network card (virtio/net/). Implementations: the ports of this folder.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * As a cable, a port may lose frames, and reports no loss to the sender. It never blocks and keeps
 * a bounded number of bytes. What it drops, it counts.
 */

export interface NetworkPort {
  /** Plugs the card in. Called once, before `send`. It may call the receiver at once. */
  connect(receiver: NetworkReceiver): void;
  /**
   * Sends a frame of ETHERNET_HEADER_BYTES to MAX_FRAME_BYTES. Its bytes are valid during the call.
   */
  send(frame: Uint8Array): void;
  /** Ends it. No receiver is called afterwards. */
  close(): Promise<void>;
}

/** The card, as its port calls it. */
export interface NetworkReceiver {
  /** A frame has arrived, of the same sizes. Its bytes are valid during the call. */
  receive(frame: Uint8Array): void;
  /** Whether the other end of the cable works. Before the first call: it does not. */
  setLink(isUp: boolean): void;
}
