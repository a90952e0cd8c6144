import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../sync/shared-words.js';
import { IoRequestState } from '../io-request/state.js';
import { RequestFinisher } from './request-finisher.js';

test('a vCPU is woken while the ticket word is still negative', () => {
  // The thread may end at any point. If the word were 0 already, the vCPU would stay parked.
  const buffer = new SharedBuffer();
  const tickets = new SharedWords(1);
  const rung: { ticket: number; state: number }[] = [];
  const notifyRequestFinish = (vcpu: number): number => {
    rung.push({ ticket: tickets.load(vcpu), state: buffer.slot(vcpu).state });
    return 0;
  };
  const finisher = new RequestFinisher({ buffer, tickets, hypercalls: { notifyRequestFinish } });
  const slot = buffer.slot(0);
  slot.fill(IoRequestType.PORT, Direction.READ, 0x500, 0, 1, 0, 0, false);
  tickets.store(0, 7);
  slot.assign(true);
  assert.equal(finisher.finish({ vcpu: 0, type: IoRequestType.PORT, direction: Direction.READ }, 7, 0x41, 0), true);
  assert.deepEqual(rung, [{ ticket: -7, state: IoRequestState.COMPLETE }]);
  assert.equal(tickets.load(0), 0);
  assert.equal(slot.valueLow, 0x41);
});
