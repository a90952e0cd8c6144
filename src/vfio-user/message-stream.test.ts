import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { message } from './fixtures/test-client.js';
import { MessageStream, ProtocolError } from './message-stream.js';
import { Command, Errno, HeaderFlag, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES } from './protocol.js';

describe('a stream of messages', () => {
  test('bytes of any message in any pieces give the messages again, with their descriptors', () => {
    const one = fc.record({
      payload: fc.uint8Array({ maxLength: 40 }),
      flags: fc.constantFrom(0, HeaderFlag.NO_REPLY),
      descriptors: fc.array(fc.nat(), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 8 }), fc.array(fc.nat({ max: 60 })), (sent, cuts) => {
        const stream = new MessageStream();
        const received: unknown[] = [];
        const take = (): void => {
          for (let next = stream.next(); next !== undefined; next = stream.next()) {
            const { payload, id, wantsNoReply, descriptors } = next;
            const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
            received.push([id, [...bytes], wantsNoReply, descriptors]);
          }
        };
        sent.forEach(({ payload, flags, descriptors }, id) => {
          const bytes = message(id, Command.RESET, payload, flags);
          // Its descriptors come with the first piece.
          const at = Math.min(bytes.length, 1 + (cuts[id] ?? 0));
          stream.add(bytes.subarray(0, at), descriptors);
          if ((cuts[id] ?? 0) % 2 === 0) take();
          stream.add(bytes.subarray(at), []);
          if (descriptors.length > 0) take();
        });
        take();
        const expected = sent.map(({ payload, flags, descriptors }, id) => [
          id,
          [...payload],
          flags !== 0,
          descriptors,
        ]);
        assert.deepEqual(received, expected);
        assert.deepEqual(stream.drop(), []);
      }),
    );
  });

  test('descriptors belong to the last message that begins among the bytes that they came with', () => {
    const stream = new MessageStream();
    const first = message(1, Command.RESET, new Uint8Array(3));
    const second = message(2, Command.SET_IRQS, new Uint8Array(20));
    stream.add(Uint8Array.of(...first, ...second.subarray(0, 20)), [7]);
    assert.deepEqual(stream.next()?.descriptors, []);
    assert.equal(stream.next(), undefined);
    stream.add(second.subarray(20), []);
    assert.deepEqual(stream.next()?.descriptors, [7]);
  });

  for (const [what, size, flags] of [
    ['a size below that of a header', 15, 0],
    ['a message above its limit', MAX_MESSAGE_BYTES + 1, 0],
    ['an unknown type', 16, 2],
  ] as const)
    test(`${what} is an error`, () => {
      const stream = new MessageStream();
      stream.add(message(1, Command.RESET, new Uint8Array(), flags, size), []);
      assert.throws(() => stream.next(), ProtocolError);
    });

  test('more descriptors than a message may have are an error, and are there to be closed', () => {
    const stream = new MessageStream();
    const many = Array.from({ length: MAX_DESCRIPTORS + 1 }, (_, i) => i);
    assert.throws(() => stream.add(new Uint8Array(1), many), ProtocolError);
    assert.deepEqual(stream.drop(), many);
  });

  test('an error without a number is one, too', () => {
    const stream = new MessageStream();
    stream.add(message(1, Command.DMA_READ, new Uint8Array(), HeaderFlag.REPLY | HeaderFlag.ERROR), []);
    assert.equal(stream.next()?.error, Errno.IO);
  });

  test('the longest message grows the buffer', () => {
    const stream = new MessageStream();
    const bytes = message(1, Command.DMA_READ, new Uint8Array(MAX_MESSAGE_BYTES - 16).fill(5), HeaderFlag.REPLY);
    for (let at = 0; at < bytes.length; at += 0x1_0000) stream.add(bytes.subarray(at, at + 0x1_0000), []);
    const next = stream.next();
    assert.equal(next?.payload.byteLength, MAX_MESSAGE_BYTES - 16);
    assert.equal(next.payload.getUint8(MAX_MESSAGE_BYTES - 17), 5);
  });
});
