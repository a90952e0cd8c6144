import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { SharedWords } from '../sync/shared-words.js';
import { AttachWords } from './attach-words.js';
import { UserspaceThread } from './userspace-thread.js';

const TICKET = 7;

/** A request of vCPU 0 that the HSM has assigned, before it has notified the client. */
function assigned(kernelHandled: boolean) {
  const buffer = new SharedBuffer();
  buffer.stampFree();
  const tickets = new SharedWords(SLOT_COUNT);
  const words = new AttachWords();
  const woken: number[] = [];
  const thread = new UserspaceThread(
    {
      words: words.buffer,
      finisher: { page: buffer.page, tickets: tickets.buffer, shared: new VmSharedState().handle },
      vcpuCount: 1,
    },
    (vcpu) => {
      woken.push(vcpu);
      return 0;
    },
  );
  const slot = buffer.slot(0);
  assert.ok(slot.fill(IoRequestType.PORT, Direction.READ, 0x500, 0, 4, 0, 0, false));
  tickets.store(0, TICKET);
  assert.ok(slot.assign(kernelHandled));
  return { thread, slot, tickets, words, woken };
}

describe('a thread of ACRN userspace', () => {
  test('may answer a request that it sees in the page before ATTACH would return for it', () => {
    const { thread, slot, tickets, words, woken } = assigned(false);
    assert.equal(thread.notify(0), 0);
    assert.equal(slot.state, IoRequestState.COMPLETE);
    assert.deepEqual([tickets.load(0), woken], [0, [0]]);
    // The HSM's notification comes late: nothing is pending, and nothing is finished again.
    words.give(0, TICKET);
    assert.equal(thread.attach(0), 0);
    assert.equal(thread.notify(0), 0);
    assert.deepEqual(woken, [0]);
  });

  test('leaves alone the request of another client, a slot without a request, and what is no slot', () => {
    const other = assigned(true);
    assert.equal(other.thread.notify(0), 0);
    assert.equal(other.slot.state, IoRequestState.PROCESSING);
    assert.equal(other.tickets.load(0), TICKET);
    assert.equal(other.thread.notify(1), -22);
    const done = assigned(false);
    done.thread.notify(0);
    assert.ok(done.slot.release());
    assert.equal(done.thread.notify(0), 0);
    assert.equal(done.slot.state, IoRequestState.FREE);
    done.words.destroy();
    assert.equal(done.thread.attach(0), -19);
  });
});
