import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addressRange, mmio, ports } from '../hsm/address-range.js';
import { AssignedRequest } from '../hsm/assigned-request.js';
import { OneVm, type Access } from '../hsm/fixtures/one-vm.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { allocatedBytes } from '../sync/fixtures/allocated-bytes.js';
import { DeviceClient, type DeviceCall } from './device-client.js';
import { allOnes, type Device } from './device.js';

const { WRITE } = Direction;
const { MMIO } = IoRequestType;
const { COMPLETE, PROCESSING } = IoRequestState;
const BASE = 0x1_0000_0000;

interface Placed {
  readonly vm: OneVm;
  readonly errors: string[];
  /**
   * Makes an access on vCPU 0 and gives the value of its slot, low word then high word, unsigned.
   */
  readonly access: (access: Access) => [number, number];
  readonly state: () => number;
}

/** The device at ports 0x500…0x507 and at 4 GiB. */
function place(device: Device): Placed {
  const vm = new OneVm();
  const errors: string[] = [];
  const report = (name: string, error: unknown, during: DeviceCall): void =>
    void errors.push(`${name} in a ${during}: ${error instanceof Error ? error.message : String(error)}`);
  for (const range of [ports(0x500, 8), mmio(BASE, 0x1000)])
    vm.requests.clients.add(new DeviceClient(device, range, report), [range]);
  const slot = vm.buffer.slot(0);
  const access = (one: Access): [number, number] => {
    slot.stampFree();
    vm.fill(0, one);
    vm.requests.dispatch();
    return [slot.valueLow >>> 0, slot.valueHigh >>> 0];
  };
  return { vm, errors, access, state: () => slot.state };
}

/** A device that notes its accesses and reads as `value`. */
function noting(value: number | Promise<number> | ((offset: number) => number | Promise<number>) = 0): {
  device: Device;
  log: string[];
} {
  const log: string[] = [];
  const device: Device = {
    name: 'noting',
    read: (offset, size) => {
      log.push(`r${offset}/${size}`);
      return typeof value === 'function' ? value(offset) : value;
    },
    write: (offset, size, written) => void log.push(`w${offset}/${size}=${written.toString(16)}`),
  };
  return { device, log };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a device as an I/O client', () => {
  test('sees offsets from the start of its range, above 4 GiB too', () => {
    const { device, log } = noting();
    const { access } = place(device);
    access({ address: 0x507 });
    access({ address: 0x504, direction: WRITE, size: 2, value: 0x1234 });
    access({ type: MMIO, address: BASE + 0xffc, size: 4 });
    assert.deepEqual(log, ['r7/1', 'w4/2=1234', 'r4092/4']);
  });

  test('gets exact offsets above 2^53, where a number cannot hold every address', () => {
    const vm = new OneVm();
    const { device, log } = noting();
    const range = addressRange(MMIO, 2n ** 60n + 1n, 2n ** 60n + 0x1000n);
    vm.requests.clients.add(new DeviceClient(device, range, (_, error) => assert.ifError(error)), [range]);
    vm.fill(0, { type: MMIO, address: 2 ** 60 + 256, size: 4 });
    vm.requests.dispatch();
    assert.deepEqual(log, ['r255/4']);
  });

  test('gets an unsigned value no wider than the access, whatever the page has in the bits above', () => {
    const { device, log } = noting();
    const { access, state } = place(device);
    for (const size of [1, 2, 4]) access({ direction: WRITE, address: 0x500, size, value: 0xdead_beef });
    assert.deepEqual(log, ['w0/1=ef', 'w0/2=beef', 'w0/4=deadbeef']);
    assert.equal(state(), COMPLETE);
  });

  test('a value that is too wide is truncated, a negative one is taken as its bits', () => {
    const { access } = place(noting(-2).device);
    const values = [1, 2, 4].map((size) => access({ address: 0x500, size })[0]);
    assert.deepEqual(values, [0xfe, 0xfffe, 0xffff_fffe]);
    const wide = place(noting(0x1_2345_6789).device);
    assert.equal(wide.access({ address: 0x500, size: 4 })[0], 0x2345_6789);
  });

  test('a narrow MMIO read has zeroes above it', () => {
    const { access } = place(noting(0xffff_ffff).device);
    assert.deepEqual(access({ type: MMIO, address: BASE, size: 2, valueHigh: 0x77 }), [0xffff, 0]);
  });

  test('an 8-byte access is two of 4 bytes, low half first, and finishes in the same turn', () => {
    const { device, log } = noting((offset) => (offset === 8 ? 0x4433_2211 : 0x8877_6655));
    const { access, state } = place(device);
    assert.deepEqual(access({ type: MMIO, address: BASE + 8, size: 8 }), [0x4433_2211, 0x8877_6655]);
    assert.equal(state(), COMPLETE);
    access({ type: MMIO, direction: WRITE, address: BASE, size: 8, value: 0xffff_fffe, valueHigh: 0x8000_0001 });
    assert.deepEqual(log, ['r8/4', 'r12/4', 'w0/4=fffffffe', 'w4/4=80000001']);
    assert.equal(state(), COMPLETE);
  });

  test('either half of an 8-byte read may be a promise; the second is read after the first has settled', async () => {
    for (const late of [0, 4]) {
      const { device, log } = noting((offset) => (offset === late ? Promise.resolve(offset + 1) : offset + 1));
      const { access, state, vm } = place(device);
      access({ type: MMIO, address: BASE, size: 8 });
      assert.equal(state(), PROCESSING);
      await settled();
      assert.equal(state(), COMPLETE);
      assert.deepEqual([vm.buffer.slot(0).valueLow, vm.buffer.slot(0).valueHigh], [1, 5]);
      assert.deepEqual(log, ['r0/4', 'r4/4']);
    }
  });

  test('an 8-byte write waits for its first half before it makes the second', async () => {
    let finishFirst: () => void = () => undefined;
    const log: string[] = [];
    const { access, state } = place({
      name: 'slow',
      read: () => 0,
      write: (offset) => {
        log.push(`w${offset}`);
        return offset === 0 ? new Promise((resolve) => (finishFirst = resolve)) : Promise.resolve();
      },
    });
    access({ type: MMIO, direction: WRITE, address: BASE, size: 8 });
    await settled();
    assert.deepEqual([log, state()], [['w0'], PROCESSING]);
    finishFirst();
    await settled();
    assert.deepEqual([log, state()], [['w0', 'w4'], COMPLETE]);
  });

  test('a promised value is truncated to the access as well', async () => {
    const { access, vm, state } = place(noting(Promise.resolve(0x1234)).device);
    access({ address: 0x500, size: 1 });
    assert.equal(state(), PROCESSING);
    await settled();
    assert.deepEqual([vm.buffer.slot(0).valueLow, state()], [0x34, COMPLETE]);
  });

  test('a size that no hypervisor makes reads all ones and reaches no device', () => {
    const { device, log } = noting(7);
    const vm = new OneVm();
    const everything = addressRange(MMIO, 0n, (1n << 64n) - 1n);
    vm.requests.clients.add(new DeviceClient(device, everything, () => assert.fail()), [everything]);
    for (const size of [0, 3, 5, 7, 9, 16, -1]) {
      const slot = vm.fill(0, { type: MMIO, address: 0x1000, size });
      vm.requests.dispatch();
      assert.deepEqual([slot.valueLow, slot.valueHigh, slot.state], [-1, -1, COMPLETE]);
      slot.release();
    }
    assert.deepEqual(log, []);
  });

  test('a device’s answer after its request was withdrawn is dropped', async () => {
    let answer: (value: number) => void = () => undefined;
    const { access, vm, errors } = place(noting(new Promise<number>((resolve) => (answer = resolve))).device);
    access({ address: 0x500 });
    vm.requests.withdraw();
    answer(9);
    await settled();
    assert.deepEqual([vm.buffer.slot(0).state, vm.buffer.slot(0).valueLow, errors], [PROCESSING, 0, []]);
  });
});

describe('a device’s bug', () => {
  const bugs: [string, Partial<Device>, Access][] = [
    ['throws in a read', { read: () => fail() }, { address: 0x500, size: 2 }],
    ['rejects a read', { read: () => Promise.reject(new Error('bug')) }, { address: 0x500, size: 2 }],
    ['throws in the first half of a wide read', { read: () => fail() }, { type: MMIO, address: BASE, size: 8 }],
    [
      'rejects the second half of a wide read',
      { read: (offset) => (offset === 4 ? Promise.reject(new Error('bug')) : 0) },
      { type: MMIO, address: BASE, size: 8 },
    ],
    ['throws in a write', { write: () => fail() }, { direction: WRITE, address: 0x500 }],
    ['rejects a write', { write: () => Promise.reject(new Error('bug')) }, { direction: WRITE, address: 0x500 }],
    [
      'rejects half of a wide write',
      { write: () => Promise.reject(new Error('bug')) },
      { type: MMIO, direction: WRITE, address: BASE, size: 8 },
    ],
  ];

  function fail(): never {
    throw new Error('bug');
  }

  for (const [name, part, one] of bugs) {
    test(`that ${name} costs the guest all ones and is reported once; the device goes on`, async () => {
      const device: Device = { name: 'broken', read: () => 5, write: () => undefined, ...part };
      const { access, vm, errors, state } = place(device);
      access(one);
      await settled();
      assert.equal(state(), COMPLETE);
      if (one.direction !== WRITE) assert.equal(vm.buffer.slot(0).valueLow, -1);
      assert.deepEqual(errors, [`broken in a ${one.direction === WRITE ? 'write' : 'read'}: bug`]);
      assert.equal(vm.requests.clients.all.length, 2);
      assert.deepEqual(vm.notified, [0]);
    });
  }
});

test('all ones are as wide as the access', () => {
  assert.deepEqual([1, 2, 4, 8].map(allOnes), [0xff, 0xffff, 0xffff_ffff, 0xffff_ffff]);
});

test('a device never sees an offset outside of its range, though the driver’s wrap-around routes it there', () => {
  const vm = new OneVm();
  const range = mmio(0x1000, 0x100);
  const device: Device = { name: 'inside only', read: () => assert.fail('read'), write: () => assert.fail('written') };
  vm.requests.clients.add(new DeviceClient(device, range, (_, error) => assert.ifError(error)), [range]);
  const slot = vm.buffer.slot(0);
  // The last byte of 8 at 2^64 − 4 is 3 modulo 2^64: not after the range's end, and the start is
  // not before its start.
  slot.fill(MMIO, Direction.READ, -4, -1, 8, 0, 0, false);
  vm.requests.dispatch();
  assert.equal(vm.dispatched[0]?.endsWith('to inside only'), true);
  assert.deepEqual([slot.state, slot.valueLow, slot.valueHigh], [COMPLETE, -1, -1]);
});

/** A read whose half at `late` is a promise of `value`, and the other half 1. */
function later(late: number, value: unknown): (offset: number) => unknown {
  return (offset) => (offset === late ? Promise.resolve(value) : 1);
}

test('the greatest and least numbers that a device may return are taken as their low bits', () => {
  for (const [value, low] of [
    [2 ** 53 - 1, 0xffff_ffff],
    [-(2 ** 53 - 1), 1],
    [1.9, 1],
  ] as const) {
    const { errors, access } = place({ name: 'wide', read: () => value, write: () => undefined });
    assert.deepEqual([access({ size: 4 })[0], errors], [low, []]);
  }
});

test('a promise that rejects after its request was withdrawn is not said to have given all ones', async () => {
  let reject: (error: Error) => void = () => undefined;
  const { access, vm, errors } = place(noting(new Promise<number>((_, refuse) => (reject = refuse))).device);
  access({ address: 0x500 });
  vm.requests.withdraw();
  reject(new Error('too late'));
  await settled();
  assert.deepEqual(errors, ['noting in a late answer: too late']);
});

test('a read that returns no number, or one without exact low bits, gives all ones and is reported as a bug of the device', async () => {
  const { device } = noting();
  const numbers = { NaN, Infinity, '-Infinity': -Infinity, '1e+300': 1e300, '-9007199254740992': -(2 ** 53) };
  const others = { 'a string': '7', 'an object': {}, 'an array': [], 'a symbol': Symbol('7'), 'a bigint': 7n };
  const given = Object.entries<unknown>({ undefined, null: null, ...numbers, ...others });
  for (const [[returned, value], one] of given.flatMap((each) => [
    [each, { size: 2 }] as const,
    [each, { type: MMIO, address: BASE, size: 8 }] as const,
  ])) {
    const halves: ((offset: number) => unknown)[] = [() => value, () => Promise.resolve(value)];
    if (one.size === 8) halves.push(later(0, value), later(4, value), (offset) => (offset === 0 ? 1 : value));
    for (const read of halves) {
      const { errors, access, state, vm } = place({ ...device, read: read as Device['read'] });
      access(one);
      await settled();
      assert.equal(state(), COMPLETE);
      assert.equal(vm.buffer.slot(0).valueLow, -1);
      assert.deepEqual(errors, [
        `noting in a read: read returned ${returned}, not a number from -(2^53 - 1) to 2^53 - 1`,
      ]);
    }
  }
});

test('neither a narrow nor an 8-byte access of a device that answers at once allocates anything', () => {
  const device: Device = { name: 'quick', read: (offset) => offset, write: () => undefined };
  const client = new DeviceClient(device, mmio(0x1000, 0x100), (_, error) => assert.ifError(error));
  let finished = 0;
  const request = new AssignedRequest(0, { finish: () => ++finished > 0 });
  request.type = MMIO;
  const notify = (i: number): void => {
    request.direction = i & 1;
    request.size = i & 2 ? 8 : 4;
    request.addressLow = 0x1000 + (i & 0x70);
    client.notify(request);
  };
  assert.ok(allocatedBytes(1_000_000, notify) < 1_000_000);
  assert.ok(finished >= 1_000_000);
});
