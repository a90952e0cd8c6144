import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FLAGS, IP_ID, readTcp, SEQUENCE, unfinishedTcp, type IpVersion } from './fixtures/tcp-frame.js';
import { completeFrame, type Offload } from './offload.js';

function complete(frame: Uint8Array, offload: Offload): Uint8Array[] {
  const frames: Uint8Array[] = [];
  completeFrame(frame, offload, (one) => frames.push(one.slice()));
  return frames;
}

for (const version of [4, 6] as const satisfies readonly IpVersion[])
  describe(`a long TCP segment over IPv${version}`, () => {
    test('is cut into complete frames that hold the same data in order', () => {
      const whole = fc.uint8Array({ minLength: 0, maxLength: 5000, size: 'max' });
      const least = fc.integer({ min: 48, max: 1460 });
      fc.assert(
        fc.property(whole, least, fc.boolean(), (data, dataBytes, isTagged) => {
          const { frame, offload } = unfinishedTcp(version, data, dataBytes, { isTagged });
          const before = frame.slice();
          const segments = complete(frame, offload).map((one) => readTcp(version, one, { isTagged }));
          assert.deepEqual(frame, before);
          assert.deepEqual(Buffer.concat(segments.map((segment) => segment.data)), Buffer.from(data));
          assert.equal(segments.length, Math.max(1, Math.ceil(data.length / dataBytes)));
          for (const [i, { sequence, id, data: part }] of segments.entries()) {
            assert.equal(sequence, (SEQUENCE + i * dataBytes) >>> 0);
            if (version === 4) assert.equal(id, (IP_ID + i) & 0xffff);
            if (i < segments.length - 1) assert.equal(part.length, dataBytes);
          }
        }),
      );
    });

    test('CWR is of the first segment, FIN and PSH are of the last one', () => {
      const { fin, psh, ack, cwr } = FLAGS;
      const flags = fin | psh | ack | cwr;
      const { frame, offload } = unfinishedTcp(version, new Uint8Array(150), 50, { flags });
      assert.deepEqual(
        complete(frame, offload).map((one) => readTcp(version, one).flags),
        [ack | cwr, ack, ack | fin | psh],
      );
      const short = unfinishedTcp(version, new Uint8Array(50), 50, { flags });
      assert.deepEqual(
        complete(short.frame, short.offload).map((one) => readTcp(version, one).flags),
        [flags],
      );
    });

    test('gets its checksum where nothing is to be cut', () => {
      for (const bytes of [0, 1, 99, 1460]) {
        const data = Uint8Array.from({ length: bytes }, (_, i) => i * 3);
        const { frame, offload } = unfinishedTcp(version, data, 48);
        const { checksumStart, checksumField } = offload;
        const before = frame.slice();
        // The driver has made IPv4's own checksum itself.
        const [only] = complete(frame, { checksumStart, checksumField });
        const [cut] = complete(frame, { ...offload, segments: { ...segmentsOf(offload), dataBytes: 2000 } });
        assert.ok(only !== undefined && cut !== undefined);
        assert.deepEqual(frame, before);
        assert.deepEqual(only.subarray(checksumStart), cut.subarray(checksumStart));
      }
    });
  });

function segmentsOf({ segments }: Offload): NonNullable<Offload['segments']> {
  assert.ok(segments !== undefined);
  return segments;
}

test('a checksum of 0 is written as 0xffff, which for UDP is not “no checksum”', () => {
  const frame = new Uint8Array(60);
  frame.set([0xff, 0xff], 20);
  const [only] = complete(frame, { checksumStart: 20, checksumField: 26 });
  assert.deepEqual(only?.subarray(26, 28), Uint8Array.of(0xff, 0xff));
});
