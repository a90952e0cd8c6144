import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../sync/shared-words.js';
import { IoRequestState } from '../io-request/state.js';
import { RequestFinisher } from './request-finisher.js';

const { PORT } = IoRequestType;
const TICKET = 7;

/** A slot that is PROCESSING under TICKET, and a finisher that notes its hypercalls. */
function assigned(polling = false) {
  const buffer = new SharedBuffer();
  const slot = buffer.slot(2);
  assert.ok(slot.fill(PORT, Direction.READ, 0x60, 0, 1, 0x11, 0x22, polling) && slot.assign(true));
  const tickets = new SharedWords(16);
  tickets.store(2, TICKET);
  const notified: number[] = [];
  const finisher = new RequestFinisher(buffer, tickets, (vcpu) => notified.push(vcpu));
  return { slot, tickets, finisher, notified };
}

for (const how of ['finish', 'finishHere'] as const)
  describe(how, () => {
    test('completes the request that its ticket stands for, once, and wakes the vCPU', () => {
      const { slot, tickets, finisher, notified } = assigned();
      assert.equal(finisher[how](2, TICKET, PORT, Direction.READ, 0x5a, -1), true);
      assert.deepEqual([slot.state, slot.valueLow, slot.valueHigh], [IoRequestState.COMPLETE, 0x5a, 0x22]);
      assert.deepEqual([tickets.load(2), notified], [0, [2]]);
      assert.equal(finisher[how](2, TICKET, PORT, Direction.READ, 0x66, 0), false);
      assert.deepEqual([slot.valueLow, notified], [0x5a, [2]]);
    });

    test('makes no hypercall for a vCPU that polls', () => {
      const { slot, finisher, notified } = assigned(true);
      assert.equal(finisher[how](2, TICKET, PORT, Direction.READ, 1, 0), true);
      assert.deepEqual([slot.state, notified], [IoRequestState.COMPLETE, []]);
    });

    test('does nothing with another ticket, one that somebody else took, or none', () => {
      const { slot, tickets, finisher } = assigned();
      for (const ticket of [TICKET + 1, 0, -TICKET]) assert.equal(finisher[how](2, ticket, PORT, 0, 1, 0), false);
      tickets.store(2, -TICKET);
      assert.equal(finisher[how](2, TICKET, PORT, 0, 1, 0), false);
      assert.equal(slot.state, IoRequestState.PROCESSING);
    });
  });
