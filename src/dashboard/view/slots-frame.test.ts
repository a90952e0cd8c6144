import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameOffset, framesIn, SLOT_RECORD_BYTES, SlotRecord, slotsFrameBytes } from '../protocol.js';
import { decodeSlotsFrame, withoutRepeats } from './slots-frame.js';

const ALL_BYTES = slotsFrameBytes(16);

interface Frame {
  readonly buffer: ArrayBuffer;
  readonly view: DataView;
}

/** All slots FREE and never used. */
function frame(extra = 0): Frame {
  const buffer = new ArrayBuffer(ALL_BYTES + extra);
  const view = new DataView(buffer);
  view.setUint8(FrameOffset.kind, 1);
  view.setUint8(FrameOffset.vcpus, 2);
  view.setUint8(FrameOffset.inspected, 255);
  view.setUint8(FrameOffset.records, 16);
  for (let vcpu = 0; vcpu < 16; vcpu++) {
    const at = FrameOffset.firstRecord + vcpu * SLOT_RECORD_BYTES;
    view.setUint32(at + SlotRecord.state, 3, true);
    view.setUint16(at + SlotRecord.client, 0xffff, true);
  }
  return { buffer, view };
}

test('a slot that was never used is free, the hypervisor’s, and has no client', () => {
  const { buffer } = frame();
  const decoded = decodeSlotsFrame(buffer);
  assert.equal(decoded?.vcpus, 2);
  assert.equal(decoded.slots.length, 16);
  assert.equal(decoded.inspected, undefined);
  const slot = decoded.slots[15];
  assert.ok(slot !== undefined);
  assert.deepEqual([slot.state, slot.owner, slot.client, slot.held], ['FREE', 'hypervisor', undefined, undefined]);
});

test('a request of a slot is told whole, with 64 bits', () => {
  const { buffer, view } = frame();
  const at = FrameOffset.firstRecord + 3 * SLOT_RECORD_BYTES;
  view.setUint32(at + SlotRecord.state, 2, true);
  view.setUint32(at + SlotRecord.type, 1, true);
  view.setUint32(at + SlotRecord.direction, 1, true);
  view.setUint32(at + SlotRecord.size, 8, true);
  view.setBigUint64(at + SlotRecord.address, 0xf_fed0_0000n, true);
  view.setBigUint64(at + SlotRecord.value, 0x1122334455667788n, true);
  view.setFloat64(at + SlotRecord.ageMs, 1.5, true);
  view.setUint16(at + SlotRecord.client, 4, true);
  view.setUint8(at + SlotRecord.held, 2);
  view.setUint32(at + SlotRecord.moves, 9, true);
  assert.deepEqual(decodeSlotsFrame(buffer)?.slots[3], {
    vcpu: 3,
    state: 'PROCESSING',
    owner: 'service-vm',
    ageNs: 1.5e6,
    type: 'mmio',
    isWrite: true,
    direction: 'write',
    size: 8,
    address: '0xffed00000',
    value: '0x1122334455667788',
    client: 4,
    held: 'complete',
    moves: 9,
  });
});

test('a PCI request shows its place, and a state that is none belongs to nobody', () => {
  const { buffer, view } = frame();
  const at = FrameOffset.firstRecord;
  view.setUint32(at + SlotRecord.state, 77, true);
  view.setUint32(at + SlotRecord.type, 2, true);
  view.setUint32(at + SlotRecord.pci, (1 << 20) | (0x1f << 15) | (2 << 12) | 0x40, true);
  const slot = decodeSlotsFrame(buffer)?.slots[0];
  assert.ok(slot !== undefined);
  assert.deepEqual([slot.state, slot.owner, slot.address], ['UNKNOWN', 'nobody', '01:1f.2+40']);
});

test('the bytes of the inspected slot stand at the end', () => {
  const { buffer, view } = frame(256);
  view.setUint8(FrameOffset.inspected, 5);
  view.setUint8(ALL_BYTES + 136, 2);
  const inspected = decodeSlotsFrame(buffer)?.inspected;
  assert.equal(inspected?.vcpu, 5);
  assert.equal(inspected.bytes.length, 256);
  assert.equal(inspected.bytes[136], 2);
});

test('a frame may have the slots of the vCPUs only, and an inspected one that is not among them', () => {
  const { buffer, view } = frame();
  view.setUint8(FrameOffset.records, 2);
  view.setUint8(FrameOffset.inspected, 5);
  view.setUint8(slotsFrameBytes(2) + 136, 3);
  const decoded = decodeSlotsFrame(buffer);
  assert.deepEqual(
    decoded?.slots.map(({ vcpu, state }) => [vcpu, state]),
    [
      [0, 'FREE'],
      [1, 'FREE'],
    ],
  );
  assert.equal(decoded.inspected?.bytes[136], 3);
});

test('of frames between which only ages change the last is drawn, and what only one of them has', () => {
  let age = 0;
  const make = (records: number, ...moves: number[]): ArrayBuffer => {
    const { buffer, view } = frame();
    view.setUint8(FrameOffset.records, records);
    moves.forEach((count, vcpu) => {
      const at = FrameOffset.firstRecord + vcpu * SLOT_RECORD_BYTES;
      view.setUint32(at + SlotRecord.moves, count, true);
      view.setFloat64(at + SlotRecord.ageMs, ++age, true);
    });
    return buffer;
  };
  const [rest, all, again, moved] = [make(2, 7, 4), make(16, 7, 4), make(2, 7, 4), make(2, 7, 8)];
  assert.deepEqual(withoutRepeats([]), []);
  assert.deepEqual(withoutRepeats([rest, again]), [again]);
  assert.deepEqual(
    withoutRepeats([rest, all, again, again]),
    [all, again],
    'the slots of other vCPUs are in one of them',
  );
  assert.deepEqual(withoutRepeats([rest, moved, rest]), [rest, moved, rest]);
});

test('what is too short or something else is no frame', () => {
  assert.equal(decodeSlotsFrame(new ArrayBuffer(0)), undefined);
  assert.equal(decodeSlotsFrame(new ArrayBuffer(ALL_BYTES - 1)), undefined);
  const { buffer, view } = frame();
  view.setUint8(FrameOffset.kind, 2);
  assert.equal(decodeSlotsFrame(buffer), undefined);
});

test('a message has several frames, each as long as it says; what is cut off is none', () => {
  const long = new Uint8Array(frame(256).buffer);
  long[FrameOffset.inspected] = 3;
  const short = new Uint8Array(slotsFrameBytes(1));
  short.set([1, 1, 255, 1]);
  const both = Uint8Array.from([...long, ...short]);
  const [first, second] = [long.length, long.length + short.length];
  assert.deepEqual(framesIn(both), [
    { start: 0, end: first },
    { start: first, end: second },
  ]);
  assert.deepEqual(framesIn(both.subarray(0, second - 1)), [{ start: 0, end: first }]);
  assert.deepEqual(framesIn(both.subarray(0, 20)), []);
  assert.deepEqual(framesIn(Uint8Array.from([2, ...both.subarray(1)])), [], 'the console');
});
