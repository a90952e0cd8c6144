import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { closeDescriptor, onPeerClosed, socketPair } from './descriptors.js';
import { loadLibc, requireLibc, type PollHandle } from './libc.js';
import { UnixSockets } from './unix-sockets.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;

/** A socket whose peer has sent two bytes, and was closed with a byte of ours unread: POLLERR. */
function failing(sockets: UnixSockets): number {
  const [own, other] = socketPair();
  sockets.sendSome(own.fd, Uint8Array.of(1));
  sockets.sendSome(other.fd, Uint8Array.of(2, 3));
  closeDescriptor(other.fd);
  return own.fd;
}

describe('a polled socket with an error', { skip, timeout: 30_000 }, () => {
  test('calls back until its end is received', async () => {
    // One byte at a time.
    const sockets = new UnixSockets({ type: 'stream', messageBytes: 1 });
    const fd = failing(new UnixSockets({ type: 'stream' }));
    const received: (number | string | undefined)[] = [];
    let handle: PollHandle | undefined;
    await new Promise<void>((resolve) => {
      const receive = (): void => {
        const part = sockets.receive(fd);
        received.push(typeof part === 'object' ? part.bytes.getUint8(0) : part);
        if (part === 'closed') resolve();
      };
      handle = requireLibc().poll(fd, receive, { keepsAlive: true });
    });
    handle?.close();
    closeDescriptor(fd);
    assert.deepEqual(received, [2, 3, 'closed']);
  });

  test('calls back no more once the handle is closed, also by the callback', async () => {
    const fd = failing(new UnixSockets({ type: 'stream' }));
    let calls = 0;
    await new Promise<void>((resolve) => {
      const handle = requireLibc().poll(
        fd,
        () => {
          calls++;
          handle.close();
          resolve();
        },
        { keepsAlive: true },
      );
    });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    closeDescriptor(fd);
    assert.equal(calls, 1);
  });

  test('has a peer that is closed, behind the bytes that are dropped', async (t) => {
    const fd = failing(new UnixSockets({ type: 'stream' }));
    // Its handle does not keep the process alive.
    const alive = setInterval(() => undefined, 1000);
    t.after(() => clearInterval(alive));
    await new Promise<void>((resolve) => onPeerClosed(fd, resolve));
    closeDescriptor(fd);
  });
});
