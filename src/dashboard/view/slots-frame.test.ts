import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Direction, SLOT_COUNT, SLOT_OFFSET } from '../../io-request/layout.js';
import { IoRequestState } from '../../io-request/state.js';
import {
  frameBytes,
  FrameKind,
  FrameOffset,
  framesIn,
  Held,
  NO_CLIENT,
  Sidecar,
  sidecarAt,
  slotAt,
} from '../protocol.js';
import { decodeSlotsFrame, hasValue, withoutRepeats } from './slots-frame.js';

interface Frame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Slots that are FREE and were never used. */
function frame(slots = SLOT_COUNT): Frame {
  const bytes = new Uint8Array(frameBytes(slots));
  const view = new DataView(bytes.buffer);
  bytes[FrameOffset.kind] = FrameKind.SLOTS;
  bytes[FrameOffset.vcpus] = 2;
  bytes[FrameOffset.slots] = slots;
  for (let vcpu = 0; vcpu < slots; vcpu++) {
    view.setUint32(slotAt(vcpu) + SLOT_OFFSET.state, IoRequestState.FREE, true);
    view.setUint16(sidecarAt(vcpu, slots) + Sidecar.client, NO_CLIENT, true);
  }
  return { bytes, view };
}

test('a slot that was never used is FREE, belongs to the hypervisor and has no client', () => {
  const decoded = decodeSlotsFrame(frame().bytes);
  assert.equal(decoded?.vcpus, 2);
  assert.equal(decoded.slots.length, 16);
  const slot = decoded.slots[15];
  assert.ok(slot !== undefined);
  assert.deepEqual([slot.state, slot.owner, slot.client, slot.held], ['FREE', 'hypervisor', undefined, undefined]);
});

test('an MMIO request is decoded with 64 bits of address and value, and with its sidecar', () => {
  const { bytes, view } = frame();
  const at = slotAt(3);
  view.setUint32(at + SLOT_OFFSET.state, IoRequestState.PROCESSING, true);
  view.setUint32(at + SLOT_OFFSET.type, 1, true);
  view.setUint32(at + SLOT_OFFSET.direction, 1, true);
  view.setBigUint64(at + SLOT_OFFSET.size, 8n, true);
  view.setBigUint64(at + SLOT_OFFSET.address, 0xf_fed0_0000n, true);
  view.setBigUint64(at + SLOT_OFFSET.value, 0x1122334455667788n, true);
  const sidecar = sidecarAt(3, SLOT_COUNT);
  view.setFloat64(sidecar + Sidecar.ageMs, 1.5, true);
  view.setUint16(sidecar + Sidecar.client, 4, true);
  view.setUint8(sidecar + Sidecar.held, Held.BEFORE_COMPLETE);
  view.setUint32(sidecar + Sidecar.moves, 9, true);
  assert.deepEqual(decodeSlotsFrame(bytes)?.slots[3], {
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
    bytes: bytes.subarray(at, at + 256),
  });
});

test('a port request has a value of one word, whatever the next word is', () => {
  const { bytes, view } = frame(1);
  view.setUint32(slotAt(0) + SLOT_OFFSET.value, 0x41, true);
  view.setUint32(slotAt(0) + SLOT_OFFSET.value + 4, 0x99, true);
  assert.equal(decodeSlotsFrame(bytes)?.slots[0]?.value, '0x41');
});

test('a PCI request has its PCI address, and an invalid state has no owner', () => {
  const { bytes, view } = frame();
  const at = slotAt(0);
  view.setUint32(at + SLOT_OFFSET.state, 77, true);
  view.setUint32(at + SLOT_OFFSET.type, 2, true);
  view.setUint32(at + SLOT_OFFSET.pciBus, 1, true);
  view.setUint32(at + SLOT_OFFSET.pciDevice, 0x1f, true);
  view.setUint32(at + SLOT_OFFSET.pciFunction, 2, true);
  view.setUint32(at + SLOT_OFFSET.pciRegister, 0x40, true);
  const slot = decodeSlotsFrame(bytes)?.slots[0];
  assert.ok(slot !== undefined);
  assert.deepEqual([slot.state, slot.owner, slot.address], ['UNKNOWN', 'none', '01:1f.2+40']);
});

test('a read has no value before COMPLETE, even if it is held with an answer, and a write always has one', () => {
  const { bytes, view } = frame(1);
  const valueIn = (state: number, direction: number, held: number): boolean => {
    view.setUint32(slotAt(0) + SLOT_OFFSET.state, state, true);
    view.setUint32(slotAt(0) + SLOT_OFFSET.direction, direction, true);
    view.setUint8(sidecarAt(0, 1) + Sidecar.held, held);
    const slot = decodeSlotsFrame(bytes)?.slots[0];
    return slot !== undefined && hasValue(slot);
  };
  const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
  const of = (direction: number, held: number): boolean[] =>
    [PENDING, PROCESSING, COMPLETE, FREE].map((state) => valueIn(state, direction, held));
  assert.deepEqual(of(Direction.READ, Held.NO), [false, false, true, true]);
  assert.equal(valueIn(PROCESSING, Direction.READ, Held.BEFORE_COMPLETE), false);
  assert.deepEqual(of(Direction.WRITE, Held.NO), [true, true, true, true]);
});

test('any bytes of the right length decode', () => {
  const bytes = new Uint8Array(frameBytes(2)).fill(0xff);
  bytes[FrameOffset.kind] = FrameKind.SLOTS;
  bytes[FrameOffset.slots] = 2;
  assert.deepEqual(
    decodeSlotsFrame(bytes)?.slots.map(({ state, type, client }) => [state, type, client]),
    Array(2).fill(['UNKNOWN', 'type 4294967295', undefined]),
  );
});

test('a frame may have the slots of the vCPUs only', () => {
  const { bytes, view } = frame(2);
  view.setUint8(slotAt(1) + SLOT_OFFSET.state, IoRequestState.PENDING);
  assert.deepEqual(
    decodeSlotsFrame(bytes)?.slots.map(({ vcpu, state }) => [vcpu, state]),
    [
      [0, 'FREE'],
      [1, 'PENDING'],
    ],
  );
});

test('a frame that differs from the next one in its ages only is dropped, unless it has more slots', () => {
  let age = 0;
  const make = (slots: number, ...moves: number[]): Uint8Array => {
    const { bytes, view } = frame(slots);
    moves.forEach((count, vcpu) => {
      view.setUint32(sidecarAt(vcpu, slots) + Sidecar.moves, count, true);
      view.setFloat64(sidecarAt(vcpu, slots) + Sidecar.ageMs, ++age, true);
    });
    return bytes;
  };
  const [rest, all, again, moved] = [make(2, 7, 4), make(16, 7, 4), make(2, 7, 4), make(2, 7, 8)];
  assert.deepEqual(withoutRepeats([]), []);
  assert.deepEqual(withoutRepeats([rest, again]), [again]);
  assert.deepEqual(withoutRepeats([rest, all, again, again]), [all, again]);
  assert.deepEqual(withoutRepeats([rest, moved, rest]), [rest, moved, rest]);
  const { bytes: other, view } = frame(2);
  other.set(rest);
  view.setUint8(slotAt(1) + 200, 1);
  assert.deepEqual(withoutRepeats([rest, other]), [rest, other], 'one byte of a slot differs');
});

test('a frame that is too short or of another kind does not decode', () => {
  assert.equal(decodeSlotsFrame(new Uint8Array(0)), undefined);
  const { bytes } = frame();
  assert.equal(decodeSlotsFrame(bytes.subarray(0, -1)), undefined);
  bytes[FrameOffset.kind] = FrameKind.CONSOLE;
  assert.equal(decodeSlotsFrame(bytes), undefined);
});

test('a message has several frames of different lengths; an incomplete one is dropped', () => {
  const [long, short] = [frame(16).bytes, frame(1).bytes];
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
