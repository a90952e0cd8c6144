import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mmio, ports } from '../hsm/address-range.js';
import { answering, Keeper, OneVm } from '../hsm/fixtures/one-vm.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import type { UpcallError } from '../io-request/upcall-error.js';
import { MAX_BREAKPOINTS } from './breakpoint-limits.js';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { VmDebugger } from './vm-debugger.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const BOTH = { pending: true, complete: true };

interface Bench {
  readonly vm: OneVm;
  readonly debug: VmDebugger;
  /** Passes that the debugger queued. */
  readonly queued: { passes: number };
}

function bench(options: ConstructorParameters<typeof OneVm>[0] = {}): Bench {
  const vm = new OneVm(options);
  const queued = { passes: 0 };
  const debug = new VmDebugger({
    requests: vm.requests,
    buffer: vm.buffer,
    queuePass: () => {
      queued.passes++;
      vm.requests.dispatch();
    },
    openInterrupts: () => ({ take: () => [], close: () => undefined }),
  });
  vm.requests.clients.add(answering('echo', 0x55), [ports(0x500, 8)]);
  return { vm, debug, queued };
}

const refused = (code: UpcallError['code']) => ({ name: 'UpcallError', code });

test('a breakpoint holds its request at PENDING without keeping the worker awake, and other requests continue', () => {
  const { vm, debug } = bench();
  debug.add({ at: 'pending', address: { from: 0x500, to: 0x500 } });
  const [held, other] = [vm.fill(0), vm.fill(1, { address: 0x501 })];
  vm.requests.dispatch();
  assert.deepEqual([held.state, other.state], [PENDING, COMPLETE]);
  assert.equal(vm.requests.work.ordered(), false);
  assert.equal(vm.requests.work.relaxed(), false);
  // An upcall of another vCPU changes nothing for the one that is held.
  other.release();
  vm.fill(1, { address: 0x501 });
  vm.requests.dispatch();
  assert.deepEqual([held.state, other.state], [PENDING, COMPLETE]);
  const [stop] = debug.stops;
  assert.deepEqual(
    { ...stop, sinceMs: 0 },
    {
      vcpu: 0,
      at: 'pending',
      client: 'echo',
      request: { type: 'port', direction: 'read', address: 0x500, size: 1, value: 0 },
      canChange: false,
      breakpoint: 1,
      interrupt: undefined,
      sinceMs: 0,
    },
  );
  assert.equal(debug.breakpoints[0]?.hits, 1);
  debug.go(0);
  assert.equal(held.state, COMPLETE);
  assert.equal(held.valueLow, 0x55);
  assert.deepEqual(debug.stops, []);
});

test('before COMPLETE the answer can be changed, and is delivered on release', () => {
  const { vm, debug } = bench();
  debug.add({ at: 'complete', value: 0x55 });
  const slot = vm.fill(2);
  vm.requests.dispatch();
  assert.equal(slot.state, PROCESSING);
  assert.deepEqual(
    debug.stops.map(({ at, request, canChange }) => [at, request.value, canChange]),
    [['complete', 0x55, true]],
  );
  debug.change(2, 0xaa);
  assert.equal(debug.stops[0]?.request.value, 0xaa);
  assert.equal(slot.state, PROCESSING);
  debug.go(2);
  assert.equal(slot.state, COMPLETE);
  assert.equal(slot.valueLow, 0xaa);
  assert.deepEqual(vm.notified, [2]);
});

test('a write that is held at PENDING can be changed, and its client gets the new value', () => {
  const { vm, debug } = bench();
  const keeper = new Keeper('keeper');
  vm.requests.clients.add(keeper, [ports(0x600, 1), mmio(0xd000_0000, 8)]);
  debug.holdAll = { pending: true, complete: false };
  vm.fill(0, { address: 0x600, direction: Direction.WRITE, value: 0x41 });
  const wide = { type: IoRequestType.MMIO, address: 0xd000_0000, size: 8, direction: Direction.WRITE };
  vm.fill(1, { ...wide, value: 1, valueHigh: 2 });
  vm.requests.dispatch();
  assert.equal(debug.stops[1]?.request.value, 0x2_0000_0001n);
  debug.change(0, 0x42);
  debug.change(1, 0x8877_6655_4433_2211n);
  assert.throws(() => debug.change(0, 0x100), refused('OPTION_INVALID'));
  assert.throws(() => debug.change(0, -1), refused('OPTION_INVALID'));
  assert.throws(() => debug.change(0, 0.5), refused('OPTION_INVALID'));
  debug.goAll();
  assert.deepEqual(
    keeper.kept.map(({ text }) => text),
    ['write port 0x600/1 = 0x42', 'write mmio 0xd0000000/8 = 0x8877665544332211'],
  );
});

test('a read at PENDING and a write before COMPLETE have no value to change', () => {
  const { vm, debug } = bench();
  debug.holdAll = BOTH;
  vm.fill(0);
  vm.fill(1, { direction: Direction.WRITE, value: 3 });
  vm.requests.dispatch();
  assert.throws(() => debug.change(0, 1), refused('OPTION_INVALID'));
  debug.go(1);
  assert.equal(debug.stops[1]?.at, 'complete');
  assert.throws(() => debug.change(1, 1), refused('OPTION_INVALID'));
});

test('a step goes from PENDING to before COMPLETE, and from there to the vCPU’s next request', () => {
  const { vm, debug } = bench();
  debug.add({ at: 'pending', direction: 'write' });
  const slot = vm.fill(0, { direction: Direction.WRITE });
  vm.requests.dispatch();
  debug.step(0);
  assert.deepEqual([slot.state, debug.stops[0]?.at], [PROCESSING, 'complete']);
  debug.step(0);
  assert.equal(slot.state, COMPLETE);
  slot.release();
  vm.fill(0);
  vm.fill(1);
  vm.requests.dispatch();
  assert.deepEqual(
    debug.stops.map(({ vcpu, at, breakpoint }) => [vcpu, at, breakpoint]),
    [[0, 'pending', undefined]],
  );
  debug.go(0);
  assert.equal(slot.state, COMPLETE);
});

test('a release of a stepping vCPU, or of all, cancels the step', () => {
  const { vm, debug } = bench();
  for (const release of [() => debug.go(0), () => debug.goAll()]) {
    const number = debug.add({ at: 'complete' });
    const slot = vm.fill(0);
    vm.requests.dispatch();
    debug.step(0);
    release();
    assert.equal(slot.state, COMPLETE);
    slot.release();
    debug.remove(number);
    vm.fill(0);
    vm.requests.dispatch();
    assert.deepEqual([slot.state, debug.stops], [COMPLETE, []]);
    slot.release();
    assert.throws(() => debug.go(0), refused('VM_STATE'));
  }
});

test('a request that the HSM answers is held at PENDING, and a configuration access once, as a PCI request', () => {
  const { vm, debug } = bench();
  vm.requests.clients.addDefault(answering('default', 0x1234));
  debug.holdAll = { pending: true, complete: false };
  const slot = vm.fill(0, { address: 0xcf8, size: 4, direction: Direction.WRITE, value: 0x8000_0010 });
  vm.requests.dispatch();
  assert.deepEqual([slot.state, debug.stops[0]?.client], [PENDING, 'hsm']);
  debug.go(0);
  assert.equal(slot.state, COMPLETE);
  slot.release();
  vm.fill(0, { address: 0xcfc, size: 4 });
  vm.requests.dispatch();
  assert.deepEqual([slot.state, debug.stops[0]?.request.type, debug.stops[0]?.client], [PENDING, 'pci', 'default']);
  debug.go(0);
  assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 0x1234]);
});

test('a breakpoint matches if client, type, address, direction, value, vCPU and expression all match', () => {
  const { vm, debug } = bench();
  const number = debug.add({
    at: 'pending',
    client: 'echo',
    type: 'port',
    address: { from: 0x502, to: 0x503 },
    direction: 'write',
    vcpu: 1,
    value: 7,
    expression: 'size == 2 && client == "echo"',
  });
  const access = { address: 0x501, size: 2, direction: Direction.WRITE, value: 7 };
  const held = (vcpu: number, part: object = {}): boolean => {
    const slot = vm.fill(vcpu, { ...access, ...part });
    vm.requests.dispatch();
    const isHeld = slot.state === PENDING;
    debug.goAll();
    slot.release();
    assert.equal(slot.state, FREE);
    return isHeld;
  };
  assert.equal(held(1), true);
  for (const part of [{ address: 0x500 }, { address: 0x504 }, { direction: 0 }, { value: 8 }, { size: 4 }])
    assert.equal(held(1, part), false, JSON.stringify(part));
  assert.equal(held(0), false);
  assert.equal(debug.remove(number), true);
  assert.equal(debug.remove(number), false);
  assert.equal(held(1), false);
});

test('invalid breakpoints and too many breakpoints are refused', () => {
  const { debug } = bench();
  for (const wrong of [
    { vcpu: 16 },
    { vcpu: 0.5 },
    { address: { from: 5, to: 4 } },
    { value: 0.5 },
    { expression: 'value ==' },
  ])
    assert.throws(() => debug.add({ at: 'pending', ...wrong }), refused('OPTION_INVALID'));
  for (let i = 0; i < MAX_BREAKPOINTS; i++) debug.add({ at: 'pending' });
  assert.throws(() => debug.add({ at: 'pending' }), refused('VM_LIMIT'));
});

test('a second answer is late while the first one is held', () => {
  const { vm, debug } = bench();
  const keeper = new Keeper('keeper');
  vm.requests.clients.add(keeper, [ports(0x600, 1)]);
  debug.holdAll = { pending: false, complete: true };
  const slot = vm.fill(0, { address: 0x600 });
  vm.requests.dispatch();
  const [kept] = keeper.kept;
  assert.ok(kept !== undefined);
  assert.equal(kept.request.finish(kept.ticket, 1), true);
  assert.equal(kept.request.finish(kept.ticket, 2), false);
  debug.detach();
  assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 1]);
  assert.equal(kept.request.finish(kept.ticket, 3), false);
});

test('the end of a client ends its held requests, and releasing one afterwards is refused', () => {
  const { vm, debug } = bench();
  const client = answering('leaver', 5);
  vm.requests.clients.add(client, [ports(0x600, 1)]);
  debug.holdAll = { pending: false, complete: true };
  const slot = vm.fill(0, { address: 0x600 });
  vm.requests.dispatch();
  assert.equal(debug.stops.length, 1);
  vm.requests.clients.destroy(client);
  assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, -1]);
  assert.deepEqual(debug.stops, []);
  assert.throws(() => debug.go(0), refused('VM_STATE'));
});

test('a held request does not count against its client’s time', () => {
  const timing = new FakeTiming();
  const { vm, debug } = bench({ clientTimeoutMs: 1, timing });
  const keeper = new Keeper('keeper');
  vm.requests.clients.add(keeper, [ports(0x600, 2)]);
  debug.add({ at: 'complete', client: 'keeper', vcpu: 0 });
  const held = vm.fill(0, { address: 0x600 });
  vm.requests.dispatch();
  keeper.answer(9);
  // This one is late, so the time of the held one is over, too.
  const late = vm.fill(1, { address: 0x601 });
  debug.change(0, 8);
  vm.requests.clients.add(new Keeper('other'), [ports(0x601, 1)]);
  vm.requests.dispatch();
  timing.pass(10);
  assert.deepEqual(
    vm.events.map((event) => ('client' in event ? `${event.kind} ${event.client}` : event.kind)),
    ['client-late other'],
  );
  assert.deepEqual([late.state, held.state], [COMPLETE, PROCESSING]);
  debug.go(0);
  assert.deepEqual([held.state, held.valueLow], [COMPLETE, 8]);
});

test('a suspended VM holds nothing, releases its held requests and keeps its breakpoints', () => {
  const { vm, debug } = bench();
  debug.add({ at: 'pending' });
  debug.add({ at: 'complete' });
  const [first, second] = [vm.fill(0), vm.fill(1)];
  vm.requests.dispatch();
  debug.go(1);
  assert.deepEqual([first.state, second.state], [PENDING, PROCESSING]);
  debug.suspend();
  assert.deepEqual([first.state, second.state], [COMPLETE, COMPLETE]);
  first.release();
  vm.fill(0);
  vm.requests.dispatch();
  assert.equal(first.state, COMPLETE);
  first.release();
  debug.resume();
  vm.fill(0);
  vm.requests.dispatch();
  assert.equal(first.state, PENDING);
});

test('stopped() resolves with the stop, or at the end', async () => {
  const { vm, debug } = bench();
  debug.holdAll = BOTH;
  const stopped = debug.stopped();
  vm.fill(3);
  vm.requests.dispatch();
  assert.equal((await stopped)?.vcpu, 3);
  assert.equal((await debug.stopped())?.vcpu, 3);
  debug.detach();
  const ended = debug.stopped();
  debug.close();
  assert.equal(await ended, undefined);
});

test('a hold ends when its slot is freed by another writer', () => {
  const { vm, debug } = bench();
  debug.holdAll = BOTH;
  vm.fill(0);
  vm.requests.dispatch();
  vm.buffer.stampFree();
  assert.deepEqual(debug.stops, []);
  debug.detach();
  const slot = vm.fill(0);
  vm.requests.dispatch();
  assert.equal(slot.state, COMPLETE);
});
