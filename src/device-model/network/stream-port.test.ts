/** Frames over a stream, by a port: how they are split, joined, refused and dropped. */

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';

import fc from 'fast-check';

import { ETHERNET_HEADER_BYTES, MAX_FRAME_BYTES } from './ethernet.js';
import { unfinishedTcp } from './fixtures/tcp-frame.js';
import { testFrame } from './fixtures/test-port.js';
import { TestStream } from './fixtures/test-stream.js';
import { MAX_PENDING_BYTES } from './frame-stream.js';
import { completeFrame } from './offload.js';
import { StreamPort } from './stream-port.js';

const frameOf = (bytes: number, seed = 0): Uint8Array =>
  testFrame('52:00:00:00:00:0a', '52:00:00:00:00:0b', { bytes, seed });

/** The frames as they are on the stream. */
function onStream(...frames: Uint8Array[]): Uint8Array {
  return new Uint8Array(
    Buffer.concat(
      frames.map((frame) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(frame.length);
        return Buffer.concat([length, frame]);
      }),
    ),
  );
}

let stream: TestStream;
let port: StreamPort;
let received: Uint8Array[];
let links: boolean[];
let ends: string[];

beforeEach(() => {
  stream = new TestStream();
  received = [];
  links = [];
  ends = [];
  port = new StreamPort(stream, (reason) => ends.push(reason));
  port.connect({ receive: (frame) => received.push(frame.slice()), setLink: (isUp) => links.push(isUp) });
});

/** Lets the frames of one callback be sent. */
const callbackEnds = (): Promise<void> => Promise.resolve();

describe('receiving', () => {
  test('frames are found whatever the parts in which their bytes arrive', () => {
    const sizes = fc.oneof(
      fc.constantFrom(ETHERNET_HEADER_BYTES, 60, 1514, MAX_FRAME_BYTES),
      fc.integer({ min: 14, max: 3000 }),
    );
    fc.assert(
      fc.property(
        fc.array(sizes, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 50 }),
        (lengths, parts) => {
          received.length = 0;
          const frames = lengths.map((bytes, seed) => frameOf(bytes, seed));
          const bytes = onStream(...frames);
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const part = parts[i % parts.length] as number;
            stream.deliver(bytes.slice(at, at + part));
            at += part;
          }
          assert.deepEqual(received, frames);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('frames too short to have addresses are dropped and counted, and the next one is found', () => {
    const good = frameOf(ETHERNET_HEADER_BYTES);
    stream.deliver(onStream(new Uint8Array(0), frameOf(60).slice(0, 13), good));
    assert.deepEqual(received, [good]);
    assert.equal(port.counters.droppedShort, 2);
    assert.deepEqual(ends, []);
  });

  test('a length above the longest frame ends the stream, whose link is then down', () => {
    stream.deliver(onStream(frameOf(60)));
    const bytes = onStream(frameOf(60));
    new DataView(bytes.buffer).setUint32(0, MAX_FRAME_BYTES + 1);
    stream.deliver(bytes);
    stream.deliver(onStream(frameOf(60)));
    assert.equal(received.length, 1);
    assert.deepEqual([ends, links, stream.isClosed], [['wrong-length'], [true, false], true]);
  });

  test('any bytes give frames of valid sizes or end the stream', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (parts) => {
        const any = new TestStream();
        new StreamPort(any).connect({
          receive: ({ length }) => assert.ok(length >= ETHERNET_HEADER_BYTES && length <= MAX_FRAME_BYTES),
          setLink: () => undefined,
        });
        // Small lengths: three zeros before any byte.
        for (const part of parts) any.deliver(Uint8Array.from([0, 0, 0, ...part]));
      }),
    );
  });

  test('the end of the stream takes the link down once', () => {
    stream.deliver(onStream(frameOf(60)).slice(0, 30));
    stream.endByPeer();
    stream.endByPeer();
    assert.deepEqual([ends, links, received], [['ended'], [true, false], []]);
  });

  test('nothing is received after close, also of the bytes that have arrived, and the end is not reported', () => {
    const closing = new TestStream();
    const other = new StreamPort(closing, () => assert.fail('the end is reported'));
    let count = 0;
    other.connect({
      receive: () => {
        count++;
        void other.close();
      },
      setLink: () => undefined,
    });
    closing.deliver(onStream(frameOf(60), frameOf(60)));
    closing.deliver(onStream(frameOf(60)));
    closing.endByPeer();
    assert.equal(count, 1);
    assert.ok(closing.isClosed);
  });
});

describe('sending', () => {
  test('frames of one callback are written together, each after its length', async () => {
    const frames = [60, 14, 1514, MAX_FRAME_BYTES].map((bytes, seed) => frameOf(bytes, seed));
    for (const frame of frames) {
      const passing = frame.slice();
      port.send(passing);
      passing.fill(0);
    }
    assert.deepEqual(stream.written, []);
    await callbackEnds();
    assert.deepEqual(stream.written, [onStream(...frames)]);
    port.send(frameOf(60));
    await callbackEnds();
    assert.deepEqual(stream.written[1], onStream(frameOf(60)));
  });

  test('what a card has left to do is done before', async () => {
    const { frame, offload } = unfinishedTcp(4, new Uint8Array(2500), 1000);
    const frames: Uint8Array[] = [];
    completeFrame(frame, offload, (complete) => frames.push(complete));
    port.send(frame, offload);
    await callbackEnds();
    assert.equal(frames.length, 3);
    assert.deepEqual(stream.written, [onStream(...frames)]);
  });

  test('more than a batch is written in parts, in order', async () => {
    const frames = Array.from({ length: 5 }, (_, seed) => frameOf(MAX_FRAME_BYTES - seed, seed));
    for (const frame of frames) port.send(frame);
    await callbackEnds();
    assert.ok(stream.written.length > 1);
    assert.deepEqual(new Uint8Array(Buffer.concat(stream.written)), onStream(...frames));
  });

  test('for a side that does not read, a bounded number of bytes waits and the rest is dropped and counted', async () => {
    stream.isStalled = true;
    const count = 2000;
    for (let i = 0; i < count; i++) port.send(frameOf(1514));
    await callbackEnds();
    const sent = stream.pendingBytes / 1518;
    assert.ok(stream.pendingBytes > MAX_PENDING_BYTES && stream.pendingBytes < MAX_PENDING_BYTES + 2 * 1518);
    assert.equal(port.counters.droppedSlow, count - sent);
    stream.pendingBytes = 0;
    port.send(frameOf(60));
    await callbackEnds();
    assert.deepEqual(stream.written.at(-1), onStream(frameOf(60)));
  });

  test('nothing is sent after the end or close', async () => {
    stream.endByPeer();
    port.send(frameOf(60));
    await port.close();
    port.send(frameOf(60));
    await callbackEnds();
    assert.deepEqual(stream.written, []);
  });
});
