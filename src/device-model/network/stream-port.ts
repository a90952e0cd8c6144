/**
 * StreamPort: a network at the other end of a stream: passt, QEMU, a hub of another process.
 *
 * Called by: a network card (virtio/net/); PasstPort, SocketHubPort.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * The other side is not trusted: a wrong length ends the stream, and what it does not read is
 * dropped beyond a limit.
 */

import type { ByteStream } from '../../host/byte-stream.js';
import { FrameReader, FrameWriter, type FrameCounters } from './frame-stream.js';
import type { NetworkPort, NetworkReceiver } from './network-port.js';
import { completeFrame, type Offload } from './offload.js';

export class StreamPort implements NetworkPort {
  /** The other side gets complete frames; a guest takes longer to make them. */
  readonly takesOffloads = true;
  readonly #stream: ByteStream;
  readonly #counters: FrameCounters = { droppedSlow: 0, droppedShort: 0 };
  readonly #writer: FrameWriter;
  readonly #onEnd: (reason: StreamEnd) => void;
  #isOpen = true;

  /** `onEnd`: the other side has ended the stream, or a wrong length has. Not called by `close`. */
  constructor(stream: ByteStream, onEnd: (reason: StreamEnd) => void = () => undefined) {
    this.#stream = stream;
    this.#onEnd = onEnd;
    this.#writer = new FrameWriter(stream, this.#counters);
  }

  get counters(): Readonly<FrameCounters> {
    return this.#counters;
  }

  connect(receiver: NetworkReceiver): void {
    const reader = new FrameReader(this.#counters);
    // A receiver may close the port in the middle of the bytes.
    const receive = (frame: Uint8Array): void => {
      if (this.#isOpen) receiver.receive(frame);
    };
    const end = (reason: StreamEnd): void => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      this.#stream.close();
      receiver.setLink(false);
      this.#onEnd(reason);
    };
    this.#stream.start(
      (bytes) => {
        if (this.#isOpen && !reader.read(bytes, receive)) end('wrong-length');
      },
      () => end('ended'),
    );
    if (this.#isOpen) receiver.setLink(true);
  }

  send(frame: Uint8Array, offload?: Offload): void {
    if (!this.#isOpen) return;
    if (offload === undefined) this.#writer.write(frame);
    else completeFrame(frame, offload, (complete) => this.#writer.write(complete));
  }

  close(): Promise<void> {
    this.#isOpen = false;
    this.#stream.close();
    return Promise.resolve();
  }
}

/** `wrong-length`: the bytes are not frames. */
export type StreamEnd = 'ended' | 'wrong-length';
