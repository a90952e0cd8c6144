/** VirtioNet with a driver and a network that do anything. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { ETHERNET_HEADER_BYTES, MAX_FRAME_BYTES } from '../../network/ethernet.js';
import { TestPort } from '../../network/fixtures/test-port.js';
import { FakeDriver } from '../fixtures/fake-queue.js';
import { NetQueue, PacketHeader } from './net-layout.js';
import { VirtioNet } from './virtio-net.js';

type Step =
  | { readonly kind: 'buffer'; readonly queue: number; readonly readable: Uint8Array; readonly writableBytes: number }
  | { readonly kind: 'frame'; readonly bytes: number }
  | { readonly kind: 'link'; readonly isUp: boolean }
  | { readonly kind: 'reset'; readonly features: readonly number[] };

/** Sizes near the limits, and any. */
const sizes = fc.oneof(
  fc.constantFrom(0, 1, 2, 11, 12, 13, 25, 26, 1526, PacketHeader.BYTES + MAX_FRAME_BYTES),
  fc.nat({ max: 70_000 }),
);
const features = fc.subarray([...new VirtioNet({ port: new TestPort() }).features]);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('buffer' as const),
      queue: fc.nat({ max: 2 }),
      // Commands and headers are small numbers; the rest is padding.
      readable: fc
        .tuple(fc.array(fc.nat({ max: 6 }), { maxLength: 24 }), sizes)
        .map(([head, bytes]) => Uint8Array.from({ length: bytes }, (_, i) => head[i] ?? 0)),
      writableBytes: sizes,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('frame' as const),
      bytes: sizes.map((bytes) => Math.min(MAX_FRAME_BYTES, Math.max(ETHERNET_HEADER_BYTES, bytes))),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), isUp: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), features }) },
);

test('any buffers and frames: each packet is sent or counted, each frame received, counted or waiting', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const port = new TestPort();
      const card = new VirtioNet({ port });
      let driver = new FakeDriver(card);
      let packets = 0;
      let frames = 0;
      for (const one of steps) {
        if (one.kind === 'buffer') {
          if (one.queue === NetQueue.TRANSMIT) packets++;
          // The queue checks what is given back.
          void driver.send(one.queue, one.readable, one.writableBytes);
        } else if (one.kind === 'frame') {
          frames++;
          port.deliver(new Uint8Array(one.bytes));
        } else if (one.kind === 'link') {
          port.setLink(one.isUp);
        } else {
          driver.reset();
          driver = new FakeDriver(card, one.features);
        }
      }
      const { counters } = card;
      assert.equal(driver.failure, undefined, 'no buffer stops the device');
      assert.equal(counters.sentFrames, port.sent.length);
      for (const { length } of port.sent) assert.ok(length >= ETHERNET_HEADER_BYTES && length <= MAX_FRAME_BYTES);
      assert.ok(counters.sentFrames + counters.sentWithoutLink + counters.malformedBuffers >= packets);
      assert.ok(counters.sentFrames + counters.sentWithoutLink <= packets);
      const gone = counters.filtered + counters.droppedNoDriver + counters.droppedNoBuffer + counters.droppedTooLong;
      assert.ok(counters.receivedFrames + gone <= frames, 'no frame is received twice');
    }),
  );
});
