import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType, PAGE_BYTES, SLOT_BYTES, SLOT_COUNT } from './layout.js';
import type { RequestFields } from './request-fields.js';
import { SharedBuffer } from './shared-buffer.js';
import { Slot } from './slot.js';
import { IoRequestState, ownerOf, stateName } from './state.js';

const { FREE, PENDING, PROCESSING, COMPLETE } = IoRequestState;
/** Invalid states, which a hostile page may hold. */
const GARBAGE = [4, 7, -1, 0x0300_0000, 0x7fff_ffff, -0x8000_0000];

function bytes(page: SharedArrayBuffer): number[] {
  return [...new Uint8Array(page)];
}

/** A page's bytes after `change`, written by a DataView only: little-endian, specified offsets. */
function image(page: SharedArrayBuffer, change: (view: DataView) => void): number[] {
  const copy = new Uint8Array(new Uint8Array(page)).slice();
  change(new DataView(copy.buffer));
  return [...copy];
}

/** A slot in `state` whose other bytes are not 0. */
function slotIn(state: number, vcpu = 3): { page: SharedArrayBuffer; slot: Slot } {
  const page = new SharedArrayBuffer(PAGE_BYTES);
  new Uint8Array(page).fill(0x5a);
  new DataView(page).setInt32(vcpu * SLOT_BYTES + 136, state, true);
  return { page, slot: new Slot(page, vcpu) };
}

/** Fields that are all 7. */
const emptyFields = (): RequestFields => ({
  type: 7,
  direction: 7,
  addressLow: 7,
  addressHigh: 7,
  size: 7,
  sizeHigh: 7,
  valueLow: 7,
  valueHigh: 7,
  bus: 7,
  device: 7,
  pciFunction: 7,
  register: 7,
});

const fillOne = (slot: Slot): boolean => slot.fill(IoRequestType.PORT, Direction.READ, 0x60, 0, 1, 0, 0, false);

describe('the page', () => {
  test('a zeroed page reads as sixteen PENDING port reads of address 0', () => {
    const buffer = new SharedBuffer(new SharedArrayBuffer(PAGE_BYTES));
    assert.equal(buffer.slots.length, 16);
    for (const slot of buffer.slots) {
      assert.equal(slot.state, PENDING);
      assert.equal(slot.type, IoRequestType.PORT);
      assert.equal(slot.isRead, true);
    }
  });

  test('stamping a zeroed page puts 03 00 00 00 at byte 136 of each slot and changes nothing else (vector 1)', () => {
    const page = new SharedArrayBuffer(PAGE_BYTES);
    const expected = image(page, (view) => {
      for (let n = 0; n < 16; n++) view.setUint32(136 + 256 * n, 3, true);
    });
    new SharedBuffer(page).stampFree();
    assert.deepEqual(bytes(page), expected);
  });

  test('a new page is FREE throughout, and a given page is left unchanged', () => {
    assert.ok(new SharedBuffer().slots.every((slot) => slot.state === FREE));
    const page = new SharedArrayBuffer(PAGE_BYTES);
    new Uint8Array(page).fill(0x77);
    new SharedBuffer(page);
    assert.ok(bytes(page).every((byte) => byte === 0x77));
  });

  test('the slot index is the vCPU ID, and a seventeenth slot does not exist', () => {
    const buffer = new SharedBuffer();
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) assert.equal(buffer.slot(vcpu).vcpu, vcpu);
    assert.throws(() => buffer.slot(16), RangeError);
    assert.throws(() => buffer.slot(-1), RangeError);
  });
});

describe('the bytes of a request', () => {
  test('OUT 0x3f8 with AL = 0x41 on vCPU 1 (vector 2)', () => {
    const page = new SharedBuffer().page;
    const expected = image(page, (view) => {
      view.setUint32(256 + 0, 0, true);
      view.setUint32(256 + 64, 1, true);
      view.setBigUint64(256 + 72, 0x3f8n, true);
      view.setBigUint64(256 + 80, 1n, true);
      view.setUint32(256 + 88, 0x41, true);
      view.setUint32(256 + 136, 0, true);
    });
    assert.equal(new Slot(page, 1).fill(IoRequestType.PORT, Direction.WRITE, 0x3f8, 0, 1, 0x41, 0, false), true);
    assert.deepEqual(bytes(page), expected);
  });

  test('an 8-byte MMIO store above 4 GiB fills all of the u64 fields', () => {
    const page = new SharedBuffer().page;
    const expected = image(page, (view) => {
      view.setUint32(15 * 256, 1, true);
      view.setUint32(15 * 256 + 4, 1, true);
      view.setUint32(15 * 256 + 64, 1, true);
      view.setBigUint64(15 * 256 + 72, 0xf_e000_1008n, true);
      view.setBigUint64(15 * 256 + 80, 8n, true);
      view.setBigUint64(15 * 256 + 88, 0x8877_6655_4433_2211n, true);
      view.setUint32(15 * 256 + 136, 0, true);
    });
    const slot = new Slot(page, 15);
    const address = [0xe000_1008 | 0, 0xf] as const;
    assert.ok(slot.fill(IoRequestType.MMIO, Direction.WRITE, ...address, 8, 0x4433_2211, 0x8877_6655 | 0, true));
    assert.deepEqual(bytes(page), expected);
    assert.deepEqual([slot.addressLow >>> 0, slot.addressHigh, slot.sizeLow, slot.sizeHigh], [0xe000_1008, 0xf, 8, 0]);
    assert.deepEqual([slot.valueLow, slot.valueHigh >>> 0], [0x4433_2211, 0x8877_6655]);
  });

  test('a fill writes every word of the request, whatever another writer left in the page', () => {
    const { page, slot } = slotIn(FREE, 2);
    const expected = image(page, (view) => {
      view.setUint32(512, 1, true);
      view.setUint32(512 + 64, 0, true);
      view.setBigUint64(512 + 72, 0x1_8000_0004n, true);
      view.setBigUint64(512 + 80, 4n, true);
      view.setBigUint64(512 + 88, 0x22_0000_0011n, true);
      view.setUint32(512 + 136, 0, true);
    });
    assert.ok(slot.fill(IoRequestType.MMIO, Direction.READ, 0x8000_0004 | 0, 1, 4, 0x11, 0x22, false));
    assert.deepEqual(bytes(page), expected);
  });

  test('a rewrite as PCI touches type, bus, device, function and register, and leaves the port where it was', () => {
    const { page, slot } = slotIn(PENDING, 2);
    const expected = image(page, (view) => {
      view.setUint32(512, 2, true);
      view.setUint32(512 + 92, 0x12, true);
      view.setUint32(512 + 96, 0x1f, true);
      view.setUint32(512 + 100, 1, true);
      view.setUint32(512 + 104, 0x3a6, true);
    });
    slot.rewriteAsPci(IoRequestType.PCI, 0x12, 0x1f, 1, 0x3a6);
    assert.deepEqual(bytes(page), expected);
    assert.deepEqual([slot.pciBus, slot.pciDevice, slot.pciFunction, slot.pciRegister], [0x12, 0x1f, 1, 0x3a6]);
  });

  test('a 32-bit value never touches offset 92, which is the bus in the PCI view', () => {
    const { page, slot } = slotIn(PROCESSING);
    const expected = image(page, (view) => view.setUint32(3 * 256 + 88, 0xffff_ffff, true));
    slot.setValue(-1);
    assert.deepEqual(bytes(page), expected);
  });

  test('a 64-bit value fills 88…95', () => {
    const { page, slot } = slotIn(PROCESSING);
    const expected = image(page, (view) => view.setBigUint64(3 * 256 + 88, 0x0102_0304_0506_0708n, true));
    slot.setValue64(0x0506_0708, 0x0102_0304);
    assert.deepEqual(bytes(page), expected);
  });

  test('the answer to a read is 64 bits for MMIO and else 32, and one to a write changes no byte', () => {
    const at = 3 * SLOT_BYTES + 88;
    for (const [type, direction, change] of [
      [IoRequestType.MMIO, Direction.READ, (view: DataView) => view.setBigUint64(at, 0x22_0000_0011n, true)],
      [IoRequestType.PORT, Direction.READ, (view: DataView) => view.setUint32(at, 0x11, true)],
      [IoRequestType.MMIO, Direction.WRITE, () => undefined],
      [IoRequestType.PORT, Direction.WRITE, () => undefined],
    ] as const) {
      const { page, slot } = slotIn(PROCESSING);
      const expected = image(page, change);
      slot.setAnswer(type, direction, 0x11, 0x22);
      assert.deepEqual(bytes(page), expected);
    }
  });

  test('fill sets completion_polling and never clears it', () => {
    const slot = new SharedBuffer().slot(0);
    slot.fill(IoRequestType.PORT, Direction.READ, 0, 0, 1, 0, 0, true);
    slot.assign(false);
    slot.complete();
    slot.release();
    fillOne(slot);
    assert.equal(slot.completionPolling, true);
  });

  test('clearPolling clears completion_polling and nothing else', () => {
    const { page, slot } = slotIn(FREE, 2);
    const expected = image(page, (view) => view.setUint32(512 + 4, 0, true));
    slot.clearPolling();
    assert.deepEqual(bytes(page), expected);
  });

  test('a copy of a PCI request has its address, one of another type leaves those fields alone', () => {
    for (const [type, address] of [
      [IoRequestType.PCI, [0x12, 0x1f, 1, 0x3a6]],
      [IoRequestType.MMIO, [7, 7, 7, 7]],
    ] as const) {
      const { slot } = slotIn(PENDING);
      slot.rewriteAsPci(type, 0x12, 0x1f, 1, 0x3a6);
      const copy = emptyFields();
      slot.copyTo(copy);
      assert.deepEqual([copy.bus, copy.device, copy.pciFunction, copy.register], address);
    }
  });

  test('assign says who handles it in kernel_handled, and the word keeps its old contents in FREE', () => {
    const slot = new SharedBuffer().slot(0);
    fillOne(slot);
    slot.assign(true);
    assert.equal(slot.kernelHandled, 1);
    slot.complete();
    slot.release();
    fillOne(slot);
    assert.equal(slot.kernelHandled, 1);
    slot.assign(false);
    assert.equal(slot.kernelHandled, 0);
  });
});

const MOVES = [
  { name: 'fill', from: FREE, to: PENDING, go: fillOne },
  { name: 'assign', from: PENDING, to: PROCESSING, go: (slot: Slot) => slot.assign(true) },
  { name: 'complete', from: PROCESSING, to: COMPLETE, go: (slot: Slot) => slot.complete() },
  { name: 'completeUnassigned', from: PENDING, to: COMPLETE, go: (slot: Slot) => slot.complete(PENDING) },
  { name: 'release', from: COMPLETE, to: FREE, go: (slot: Slot) => slot.release() },
];

describe('the moves', () => {
  for (const { name, from, to, go } of MOVES) {
    test(`${name} takes ${stateName(from)} to ${stateName(to)}`, () => {
      const { slot } = slotIn(from);
      assert.equal(go(slot), true);
      assert.equal(slot.state, to);
      assert.equal(slot.relaxedState, to);
    });

    for (const state of [FREE, PENDING, PROCESSING, COMPLETE, ...GARBAGE]) {
      if (state === from) continue;
      test(`${name} is refused in ${stateName(state)} and changes no byte of the request`, () => {
        const { page, slot } = slotIn(state);
        const before = bytes(page);
        assert.equal(go(slot), false);
        const after = bytes(page);
        if (name === 'assign') {
          // kernel_handled is written before the move, as in the driver. It is valid only in
          // PROCESSING.
          for (let at = 3 * 256 + 132; at < 3 * 256 + 136; at++) after[at] = before[at] as number;
        }
        assert.deepEqual(after, before);
      });
    }
  }

  test('no move touches another slot', () => {
    const page = new SharedArrayBuffer(PAGE_BYTES);
    const buffer = new SharedBuffer(page);
    buffer.stampFree();
    const others = (): number[] => bytes(page).filter((_, at) => at < 5 * 256 || at >= 6 * 256);
    const before = others();
    const slot = buffer.slot(5);
    for (const { go, name } of MOVES) if (name !== 'completeUnassigned') assert.equal(go(slot), true);
    assert.equal(slot.state, FREE);
    assert.deepEqual(others(), before);
  });

  test('stampFree makes FREE of every state and of garbage', () => {
    for (const state of [FREE, PENDING, PROCESSING, COMPLETE, ...GARBAGE]) {
      const { slot } = slotIn(state);
      slot.stampFree();
      assert.equal(slot.state, FREE);
    }
  });
});

describe('an observer', () => {
  /** A slot whose transitions are recorded as text, and the word that enables that. */
  function observed(state: number): { slot: Slot; seen: unknown[][]; enabled: Int32Array } {
    const { slot } = slotIn(state, 1);
    const seen: unknown[][] = [];
    const enabled = Int32Array.of(1);
    const note =
      (name: string) =>
      (...values: unknown[]): void => {
        seen.push([name, ...values.filter((value) => !(value instanceof Int32Array))]);
      };
    slot.observer = {
      enabled,
      filling: note('filling'),
      filled: note('filled'),
      assigned: note('assigned'),
      completing: note('completing'),
      completed: note('completed'),
      released: note('released'),
    };
    return { slot, seen, enabled };
  }
  const BASE = SLOT_BYTES >> 2;

  test('gets each transition with its result, in order, and the values', () => {
    const { slot, seen } = observed(FREE);
    slot.fill(IoRequestType.MMIO, Direction.WRITE, 0x1000, 2, 4, 0x11, 0x22, false);
    slot.assign(true);
    slot.setValue64(0x33, 0x44);
    slot.complete();
    slot.release();
    slot.release();
    assert.deepEqual(seen, [
      ['filling'],
      ['filled', true, IoRequestType.MMIO, Direction.WRITE, 0x1000, 2, 4, 0x11, 0x22, BASE],
      ['assigned', true, BASE],
      ['completing', PROCESSING, 0x33, 0x44],
      ['completed', true, PROCESSING, 0x33, 0x44],
      ['released', true, COMPLETE],
      ['released', false, COMPLETE],
    ]);
  });

  test('gets a stamp that makes FREE of another state, with that state', () => {
    for (const [state, expected] of [
      [PENDING, [['released', true, PENDING]]],
      [FREE, []],
    ] as const) {
      const { slot, seen } = observed(state);
      slot.stampFree();
      assert.deepEqual(seen, expected);
    }
  });

  test('gets nothing while it is not enabled', () => {
    const { slot, seen, enabled } = observed(FREE);
    enabled[0] = 0;
    fillOne(slot);
    slot.assign(false);
    slot.complete();
    slot.release();
    fillOne(slot);
    slot.stampFree();
    assert.deepEqual(seen, []);
  });
});

describe('states', () => {
  test('FREE and COMPLETE belong to the hypervisor, PENDING and PROCESSING to the Service VM, an invalid state has no owner', () => {
    assert.deepEqual([FREE, COMPLETE, PENDING, PROCESSING].map(ownerOf), [
      'hypervisor',
      'hypervisor',
      'service-vm',
      'service-vm',
    ]);
    for (const state of GARBAGE) assert.equal(ownerOf(state), 'none');
  });

  test('the numbers are those of the UAPI header and have their names', () => {
    assert.deepEqual([0, 1, 2, 3].map(stateName), ['PENDING', 'COMPLETE', 'PROCESSING', 'FREE']);
    assert.equal(stateName(7), 'state 7');
  });
});
