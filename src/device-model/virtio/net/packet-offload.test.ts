import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { unfinishedTcp } from '../../network/fixtures/tcp-frame.js';
import { completeFrame, type Offload } from '../../network/offload.js';
import { PacketHeader } from './net-layout.js';
import { MIN_SEGMENT_BYTES, offloadOf, writeOffload } from './packet-offload.js';

function headerOf(offload: Offload): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(PacketHeader.BYTES).fill(0xee);
  writeOffload(header, offload);
  return header;
}

const { frame: FRAME, offload: OFFLOAD } = unfinishedTcp(4, new Uint8Array(3000), 1000);

describe('the header of a packet', () => {
  test('says what is left to do, and is read as it was written', () => {
    for (const version of [4, 6] as const)
      for (const isTagged of [false, true]) {
        const { frame, offload } = unfinishedTcp(version, new Uint8Array(3000), 1000, { isTagged });
        assert.deepEqual(offloadOf(headerOf(offload), frame), offload);
        const { checksumStart, checksumField } = offload;
        assert.deepEqual(offloadOf(headerOf({ checksumStart, checksumField }), frame), {
          checksumStart,
          checksumField,
        });
      }
    assert.equal(offloadOf(new Uint8Array(PacketHeader.BYTES), FRAME), undefined);
  });

  test('has the fields of struct virtio_net_hdr', () => {
    // flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; num_buffers is left alone.
    assert.deepEqual([...headerOf(OFFLOAD)], [1, 1, 70, 0, 1000 & 0xff, 1000 >> 8, 38, 0, 16, 0, 0xee, 0xee]);
    const header = new Uint8Array(PacketHeader.BYTES).fill(0xee);
    writeOffload(header, undefined);
    assert.deepEqual([...header], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xee, 0xee]);
  });

  // A byte of the header, or of the frame, that makes the whole malformed.
  const WRONG: readonly [what: string, header: Record<number, number>, frame?: Record<number, number>][] = [
    ['segments without a checksum', { [PacketHeader.FLAGS]: 0 }],
    ['DATA_VALID, which a device sets', { [PacketHeader.FLAGS]: 2 }],
    ['both flags', { [PacketHeader.FLAGS]: 3 }],
    ['UDP fragmentation, which is not offered', { [PacketHeader.GSO_TYPE]: 3 }],
    ['ECN, which is not offered', { [PacketHeader.GSO_TYPE]: 0x81 }],
    ['IPv6 of an IPv4 packet', { [PacketHeader.GSO_TYPE]: 4 }],
    ['segments that are too short', { [PacketHeader.GSO_SIZE]: MIN_SEGMENT_BYTES - 1, [PacketHeader.GSO_SIZE + 1]: 0 }],
    ['a checksum of the Ethernet header', { [PacketHeader.CSUM_START]: 13 }],
    ['a checksum that begins after the frame', { [PacketHeader.CSUM_START + 1]: 0xff }],
    ['a checksum field after the frame', { [PacketHeader.CSUM_OFFSET + 1]: 0xff }],
    ['a checksum field that is not TCP’s', { [PacketHeader.CSUM_OFFSET]: 6 }],
    ['a TCP header that is not behind the IP header', { [PacketHeader.CSUM_START]: 42 }],
    ['another EtherType', {}, { 13: 6 }],
    ['another IP version', {}, { 14: 0x66 }],
    ['an IP header of another length', {}, { 14: 0x45 }],
    ['UDP', {}, { 23: 17 }],
    ['a TCP header that is too short', {}, { 50: 0x40 }],
  ];
  for (const [what, header, bytes = {}] of WRONG)
    test(`is malformed: ${what}`, () => {
      const changed = Object.assign(headerOf(OFFLOAD), header);
      assert.equal(offloadOf(changed, Object.assign(FRAME.slice(), bytes)), 'malformed');
    });

  test('is malformed: a checksum alone of the Ethernet header', () => {
    const accepted = { checksumStart: 14, checksumField: 24 };
    assert.deepEqual(offloadOf(headerOf(accepted), FRAME), accepted);
    assert.equal(offloadOf(headerOf({ checksumStart: 13, checksumField: 24 }), FRAME), 'malformed');
  });

  test('is malformed: a TCP header at the end of the frame', () => {
    const header = headerOf(OFFLOAD);
    const frame = FRAME.subarray(0, OFFLOAD.checksumStart + 2);
    assert.equal(offloadOf(Object.assign(header, { [PacketHeader.CSUM_OFFSET]: 0 }), frame), 'malformed');
  });

  test('is malformed: a TCP header within the IP header', () => {
    for (const [version, least] of [
      [4, 20],
      [6, 40],
    ] as const) {
      const { frame, offload } = unfinishedTcp(version, new Uint8Array(100), 48);
      const at = (ipBytes: number): Uint8Array<ArrayBuffer> => {
        const moved = frame.slice();
        if (version === 4) moved[14] = 0x40 | (ipBytes / 4);
        moved[14 + ipBytes + 12] = 0x50;
        return moved;
      };
      const header = (ipBytes: number): Uint8Array<ArrayBuffer> =>
        headerOf({ ...offload, checksumStart: 14 + ipBytes, checksumField: 14 + ipBytes + 16 });
      assert.notEqual(offloadOf(header(least), at(least)), 'malformed');
      assert.equal(offloadOf(header(least - 4), at(least - 4)), 'malformed');
    }
  });

  test('is malformed: a TCP header that reaches beyond the frame', () => {
    const { frame, offload } = unfinishedTcp(4, new Uint8Array(0), 48);
    assert.notEqual(offloadOf(headerOf(offload), frame), 'malformed');
    assert.equal(offloadOf(headerOf(offload), frame.subarray(0, -1)), 'malformed');
  });

  test('of any bytes, what is accepted can be completed within the frame', () => {
    const likely = fc.constantFrom(0, 1, 4, 14, 16, 18, 34, 38, 48, 54, 58, 255);
    const header = fc.uint8Array({ minLength: 12, maxLength: 12 });
    const mixed = fc.array(fc.oneof(likely, fc.nat(255)), { minLength: 12, maxLength: 12 });
    const frames = fc.oneof(
      fc.uint8Array({ minLength: 14, maxLength: 200, size: 'max' }),
      fc.constantFrom(4 as const, 6 as const).map((version) => unfinishedTcp(version, new Uint8Array(120), 48).frame),
    );
    fc.assert(
      fc.property(fc.oneof(header, mixed), frames, fc.nat(199), fc.nat(255), (bytes, base, at, value) => {
        const frame = base.slice();
        if (at < frame.length) frame[at] = value;
        const offload = offloadOf(Uint8Array.from(bytes), frame);
        if (offload === undefined || offload === 'malformed') return;
        let count = 0;
        // Throws RangeError if it writes outside of the frame.
        completeFrame(frame, offload, (one) => {
          count++;
          assert.ok(one.length <= frame.length);
        });
        assert.ok(count <= Math.max(1, Math.ceil(frame.length / MIN_SEGMENT_BYTES)));
      }),
      { numRuns: 20_000 },
    );
  });
});
