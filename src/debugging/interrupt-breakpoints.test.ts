import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ports } from '../hsm/address-range.js';
import { OneVm } from '../hsm/fixtures/one-vm.js';
import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';
import { IoRequestState } from '../io-request/state.js';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_LANE_WORDS, InterruptKind, InterruptLane } from '../trace/interrupt-lane.js';
import { InterruptReader, interruptText } from '../trace/interrupt-reader.js';
import { LAST_LINE, MAX_BREAKPOINTS } from './breakpoint-limits.js';
import { VmDebugger } from './vm-debugger.js';

const { PENDING, PROCESSING, COMPLETE } = IoRequestState;
const { RAISED, LOWERED, ENDED, SENT } = InterruptKind;

/** A VM whose device at 0x500 runs `onRequest` while it handles a request. */
function bench(): { vm: OneVm; debug: VmDebugger; lane: InterruptLane; onRequest: (run: () => void) => void } {
  const vm = new OneVm();
  const lane = new InterruptLane(new SharedWords(INTERRUPT_LANE_WORDS), 0);
  const nameOf = (owner: number): string | undefined => (owner === 0 ? undefined : `device ${owner}`);
  const debug = new VmDebugger({
    requests: vm.requests,
    buffer: vm.buffer,
    queuePass: () => vm.requests.dispatch(),
    openInterrupts: () => new InterruptReader({ lane, nameOf, startMs: 0 }),
  });
  let run = (): void => undefined;
  const client = {
    name: 'device',
    notify: (request: { finish: (ticket: number, low: number, high: number) => void; ticket: number }) => {
      run();
      request.finish(request.ticket, 0x55, 0);
    },
  };
  vm.requests.clients.add(client, [ports(0x500, 8)]);
  return { vm, debug, lane, onRequest: (then) => (run = then) };
}

const hits = (debug: VmDebugger): number[] => debug.breakpoints.map((state) => state.hits);

test('the request after an interrupt is held at PENDING, with the interrupt that it was held for', () => {
  const { vm, debug, lane } = bench();
  debug.add({ at: 'interrupt', line: 4, interrupt: 'raised' });
  lane.record(RAISED, 3, 1, 0);
  const first = vm.fill(0);
  vm.requests.dispatch();
  assert.equal(first.state, COMPLETE, 'another line holds nothing');
  lane.record(RAISED, 4, 7, 0);
  lane.record(LOWERED, 4, 7, 0);
  const [held, other] = [vm.fill(1), vm.fill(2)];
  vm.requests.dispatch();
  assert.deepEqual([held.state, other.state], [PENDING, COMPLETE], 'one request for one interrupt');
  const [stop] = debug.stops;
  assert.deepEqual([stop?.vcpu, stop?.at, stop?.breakpoint], [1, 'pending', 1]);
  assert.equal(stop?.interrupt && interruptText(stop.interrupt), 'line 4 raised by device 7');
  assert.deepEqual(hits(debug), [1]);
  debug.go(1);
  assert.equal(held.state, COMPLETE);
});

test('the request that causes an interrupt is held before COMPLETE', () => {
  const { vm, debug, lane, onRequest } = bench();
  debug.add({ at: 'interrupt', by: 'device 9', vector: 0x31 });
  onRequest(() => lane.record(SENT, 0, 9, 0x31));
  const slot = vm.fill(0);
  vm.requests.dispatch();
  assert.equal(slot.state, PROCESSING);
  assert.deepEqual(
    debug.stops.map(({ at, interrupt }) => [at, interrupt && interruptText(interrupt)]),
    [['complete', 'message 0 sent by device 9: vector 0x31']],
  );
  debug.goAll();
  assert.equal(slot.state, COMPLETE);
});

test('a breakpoint on requests that also matches keeps its hit, and the stop names the interrupt', () => {
  const { vm, debug, lane } = bench();
  debug.add({ at: 'pending' });
  debug.add({ at: 'interrupt', interrupt: 'ended' });
  lane.record(ENDED, 8, 0, 0);
  vm.fill(0);
  vm.requests.dispatch();
  assert.equal(debug.stops[0]?.breakpoint, 2);
  assert.deepEqual(hits(debug), [1, 1]);
});

test('interrupts are recorded only while a breakpoint is on one, and those before it do not count', () => {
  const { vm, debug, lane } = bench();
  debug.add({ at: 'complete', value: 1 });
  assert.equal(lane.isOn, false);
  const other = new InterruptReader({ lane, nameOf: () => undefined, startMs: 0 });
  lane.record(RAISED, 4, 0, 0);
  const number = debug.add({ at: 'interrupt' });
  other.close();
  assert.equal(lane.isOn, true);
  const slot = vm.fill(0);
  vm.requests.dispatch();
  assert.equal(slot.state, COMPLETE);
  lane.record(RAISED, 4, 0, 0);
  assert.equal(debug.remove(number), true);
  assert.equal(lane.isOn, false);
  vm.fill(1);
  vm.requests.dispatch();
  assert.deepEqual(debug.stops, [], 'a removed breakpoint holds nothing any more');
  debug.add({ at: 'interrupt' });
  debug.detach();
  assert.equal(lane.isOn, false);
});

test('a match that held nothing before a pause holds nothing after the start, and the end closes the reader', () => {
  const { vm, debug, lane } = bench();
  debug.add({ at: 'interrupt' });
  lane.record(RAISED, 4, 0, 0);
  debug.suspend();
  lane.record(LOWERED, 4, 0, 0);
  debug.resume();
  const slot = vm.fill(0);
  vm.requests.dispatch();
  assert.equal(slot.state, COMPLETE);
  assert.deepEqual(hits(debug), [2]);
  debug.close();
  assert.equal(lane.isOn, false);
  assert.deepEqual(hits(debug), [2]);
});

test('fields out of range are refused, and both kinds share one limit and their numbers', () => {
  const { debug } = bench();
  const refused = { name: 'UpcallError', code: 'OPTION_INVALID' };
  assert.equal(LAST_LINE, INTERRUPT_LINES - 1);
  assert.throws(() => debug.add({ at: 'interrupt', line: INTERRUPT_LINES }), refused);
  assert.throws(() => debug.add({ at: 'interrupt', line: 1.5 }), refused);
  assert.throws(() => debug.add({ at: 'interrupt', vector: 256 }), refused);
  assert.throws(() => debug.add({ at: 'interrupt', interrupt: 'rises' as 'raised' }), refused);
  assert.equal(debug.add({ at: 'interrupt' }), 1);
  assert.equal(debug.add({ at: 'pending' }), 2);
  for (let count = 2; count < MAX_BREAKPOINTS; count++) debug.add({ at: count % 2 === 0 ? 'interrupt' : 'complete' });
  assert.throws(() => debug.add({ at: 'interrupt' }), { code: 'VM_LIMIT' });
  assert.throws(() => debug.add({ at: 'pending' }), { code: 'VM_LIMIT' });
  assert.deepEqual(
    debug.breakpoints.map(({ number }) => number),
    Array.from({ length: MAX_BREAKPOINTS }, (_, index) => index + 1),
  );
});
