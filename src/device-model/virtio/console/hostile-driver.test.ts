/** VirtioConsole with a driver and host sides that do anything. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { FakeDriver } from '../fixtures/fake-queue.js';
import { ConsoleQueue, receiveQueueOf } from './console-layout.js';
import { TestBackend } from './fixtures/test-backend.js';
import { VirtioConsole } from './virtio-console.js';

type Step =
  | { readonly kind: 'buffer'; readonly queue: number; readonly readable: Uint8Array; readonly writableBytes: number }
  | { readonly kind: 'message'; readonly port: number; readonly event: number; readonly value: number }
  | { readonly kind: 'take'; readonly port: number; readonly bytes: number }
  | { readonly kind: 'type'; readonly port: number; readonly bytes: number }
  | { readonly kind: 'open'; readonly port: number; readonly isOpen: boolean }
  | { readonly kind: 'unplug'; readonly port: number }
  | { readonly kind: 'resize'; readonly columns: number }
  | { readonly kind: 'reset'; readonly features: readonly number[] };

const PORTS = 3;
const EVENTS = 8;
const port = fc.nat({ max: PORTS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('buffer' as const),
      queue: fc.nat({ max: 2 * PORTS + 1 }),
      readable: fc.uint8Array({ maxLength: 20 }),
      writableBytes: fc.nat({ max: 40 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('message' as const),
      port: fc.oneof(fc.nat({ max: PORTS }), fc.nat({ max: 0xffff_ffff })),
      event: fc.oneof(fc.nat({ max: EVENTS }), fc.nat({ max: 0xffff })),
      value: fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: 0xffff })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), port, bytes: fc.nat({ max: 30 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('type' as const), port, bytes: fc.nat({ max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const), port, isOpen: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unplug' as const), port: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resize' as const), columns: fc.nat({ max: 0xffff }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), features: fc.subarray([0, 1, 2]) }) },
);

test('any buffers, messages and host sides: bytes arrive in order, once, and a bounded number of messages waits', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const ends = Array.from({ length: PORTS }, () => new TestBackend());
      const device = new VirtioConsole({
        console: ends[0] as TestBackend,
        ports: ends.slice(1).map((backend, index) => ({ name: `port${index}`, backend })),
      });
      let driver = new FakeDriver(device);
      /** Everything that drivers have sent to each port. */
      const sent: number[][] = ends.map(() => []);
      let typed = 0;
      for (const one of steps) {
        if (one.kind === 'buffer') {
          for (const [index, bytes] of sent.entries())
            if (one.queue === receiveQueueOf(index) + 1) bytes.push(...one.readable);
          // The queue checks what is given back.
          void driver.send(one.queue, one.readable, one.writableBytes);
        } else if (one.kind === 'message') {
          const message = Buffer.alloc(8);
          message.writeUInt32LE(one.port, 0);
          message.writeUInt16LE(one.event, 4);
          message.writeUInt16LE(one.value, 6);
          void driver.send(ConsoleQueue.CONTROL_TRANSMIT, message);
        } else if (one.kind === 'take') ends[one.port]?.takeMore(one.bytes);
        else if (one.kind === 'type') typed += ends[one.port]?.port.receive(new Uint8Array(one.bytes)) ?? 0;
        else if (one.kind === 'open') ends[one.port]?.port.setOpen(one.isOpen);
        else if (one.kind === 'unplug') ends[one.port]?.port.unplug();
        else if (one.kind === 'resize') device.resize(one.columns, 24);
        else {
          driver.reset();
          driver = new FakeDriver(device, one.features);
        }
        assert.ok(device.waitingMessages <= PORTS * EVENTS);
      }
      const { counters } = device;
      assert.equal(driver.failure, undefined, 'no buffer stops the device');
      assert.equal(counters.inputBytes, typed);
      assert.equal(
        counters.outputBytes,
        ends.reduce((sum, { received }) => sum + received.length, 0),
      );
      for (const [index, { received }] of ends.entries())
        assert.ok(isSubsequence(received, sent[index] ?? []), 'no byte is invented, or overtakes another one');
    }),
  );
});

function isSubsequence(part: readonly number[], whole: readonly number[]): boolean {
  let at = 0;
  for (const value of whole) if (value === part[at]) at++;
  return at === part.length;
}
