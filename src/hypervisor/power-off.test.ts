import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestType } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { createRingPage } from '../sync/shared-ring.js';
import { EVENT_ELEMENT_BYTES } from './async-io.js';
import { RingId } from './async-io-hypercalls.js';
import { IoHandler } from './io-handler.js';
import { MmioHandlerTable } from './mmio-handlers.js';
import { PortHandlerTable } from './port-handlers.js';
import { powerOffAfterFault } from './power-off.js';
import { Upcall } from './upcall.js';
import { VmSharedState, VmState } from './vm-shared-state.js';

/** The ACPI register is a handler of the hypervisor here, which answers in this thread. */
function prepare() {
  const shared = new VmSharedState();
  const slot = new SharedBuffer().slot(0);
  const upcall = new Upcall();
  const ports = new PortHandlerTable();
  const written: number[] = [];
  const handler = new IoHandler({
    vcpu: 0,
    slot,
    upcall,
    shared,
    handlers: { ports, mmio: new MmioHandlerTable() },
    completionPolling: false,
  });
  shared.setVmState(VmState.RUNNING);
  assert.equal(shared.asyncIo.setupRing(RingId.VM_EVENT, createRingPage(EVENT_ELEMENT_BYTES)), 0);
  const answer = (): unknown =>
    ports.register(0, 0x404, 2, { write: (_port, _size, value) => written.push(value) > 0 });
  return { shared, slot, answer, written, powerOff: () => powerOffAfterFault(handler, shared, upcall) };
}

test('a full ring loses the event, and the register is written all the same', () => {
  const { shared, answer, written, powerOff } = prepare();
  answer();
  while (shared.asyncIo.sendEvent(0));
  assert.equal(powerOff(), true);
  assert.deepEqual(written, [0x3400]);
});

test('a fault is reported as one if the write cannot become a request', () => {
  const { slot, powerOff } = prepare();
  slot.fill(IoRequestType.PORT, 0, 0x80, 0, 1, 0, 0, false);
  assert.equal(slot.state, IoRequestState.PENDING);
  assert.equal(powerOff(), false);
});

test('a fault is not reported if the VM has been paused meanwhile', () => {
  const { shared, powerOff } = prepare();
  shared.setVmState(VmState.PAUSED);
  assert.equal(powerOff(), true);
});
