/**
 * CapturePort: a port whose packets are also written to a file. A packet is in the file as it is on
 * the cable: also if the card does not take it.
 *
 * Called by: a network card (virtio/net/).
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 */

import type { CaptureFile } from './capture-file.js';
import type { NetworkPort, NetworkReceiver } from './network-port.js';
import { Direction } from './pcapng.js';

export class CapturePort implements NetworkPort {
  readonly #port: NetworkPort;
  readonly #file: CaptureFile;

  constructor(port: NetworkPort, file: CaptureFile) {
    this.#port = port;
    this.#file = file;
  }

  connect(receiver: NetworkReceiver): void {
    this.#port.connect({
      receive: (frame) => {
        this.#file.add(frame, Direction.IN);
        receiver.receive(frame);
      },
      setLink: (isUp) => receiver.setLink(isUp),
    });
  }

  send(frame: Uint8Array): void {
    this.#file.add(frame, Direction.OUT);
    this.#port.send(frame);
  }

  /** Resolves when the file is written. */
  async close(): Promise<void> {
    await this.#port.close();
    await this.#file.close();
  }
}
