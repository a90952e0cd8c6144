import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { FaultInjection } from './fault-injection.js';
import { MAX_STALE_ADDRESSES } from './faulty-client.js';

interface Bench {
  readonly clock: ManualClock;
  readonly faults: FaultInjection;
  readonly wrapped: IoClient;
  /** What the client threw in calls that the HSM did not make. */
  readonly failures: readonly unknown[];
  /** Gives a request to the client. `answer` is undefined until the answer: then both words. */
  readonly ask: (fields: Partial<AssignedRequest>) => { answer: readonly [number, number] | undefined };
}

/** A client that answers with the low word of the address and 0x1111_1111 above it. */
function bench(rules: readonly string[], client?: Partial<IoClient>): Bench {
  const clock = new ManualClock();
  const failures: unknown[] = [];
  const faults = new FaultInjection(
    { seed: 5, rules },
    { clock, emit: () => undefined, remove: () => undefined, fail: (_, error) => failures.push(error) },
  );
  const wrapped = faults.wrap({
    name: 'echo',
    notify: (request) => void request.finish(request.ticket, request.addressLow, 0x1111_1111),
    ...client,
  });
  let ticket = 0;
  const ask: Bench['ask'] = (fields) => {
    const asked: { answer: readonly [number, number] | undefined } = { answer: undefined };
    const request = new AssignedRequest(fields.vcpu ?? 0, {
      finish: (_ticket, low, high) => {
        asked.answer = [low, high];
        return true;
      },
    });
    const access = { ticket: ++ticket, type: IoRequestType.MMIO, direction: Direction.READ, size: 8 };
    wrapped.notify(Object.assign(request, access, fields));
    return asked;
  };
  return { clock, faults, wrapped, ask, failures };
}

test('an 8-byte value is altered in both words', () => {
  const { ask } = bench(['mmio=0x10: flip=0x8000000080000001', 'mmio=0x20: value=0x1234567890abcdef']);
  assert.deepEqual(ask({ addressLow: 0x10 }).answer, [0x10 ^ 0x8000_0001, 0x1111_1111 ^ 0x8000_0000]);
  assert.deepEqual(ask({ addressLow: 0x20 }).answer, [0x90ab_cdef | 0, 0x1234_5678]);
  assert.deepEqual(ask({ addressLow: 0x30 }).answer, [0x30, 0x1111_1111]);
});

test('a random flip of an access whose size the page has corrupted changes one of 32 bits', () => {
  const { ask } = bench(['mmio: flip']);
  for (const size of [0, 3, -1, 0x7fff_ffff]) {
    const [low = 0, high] = ask({ addressLow: 0, size }).answer ?? [];
    assert.ok(low !== 0 && (low & (low - 1)) === 0, `size ${size}: ${low}`);
    assert.equal(high, 0x1111_1111);
  }
});

test('a random flip changes one bit within the access size', () => {
  const { ask } = bench(['size=1: flip', 'size=8: flip']);
  for (let i = 0; i < 200; i++) {
    const [byte = 0] = ask({ addressLow: 0, size: 1 }).answer ?? [];
    assert.ok([1, 2, 4, 8, 16, 32, 64, 128].includes(byte), String(byte));
    const [low = 0, high = 0] = ask({ addressLow: 0 }).answer ?? [];
    const bits = (BigInt.asUintN(32, BigInt(high ^ 0x1111_1111)) << 32n) | BigInt.asUintN(32, BigInt(low));
    assert.ok(bits !== 0n && (bits & (bits - 1n)) === 0n, bits.toString(16));
  }
});

test('a range selects an access with any byte in it', () => {
  const { ask } = bench(['mmio=0x103-0x104: ones']);
  const isHit = (addressLow: number, size: number): boolean => ask({ addressLow, size }).answer?.[0] === -1;
  assert.deepEqual(
    [isHit(0x100, 4), isHit(0x104, 4), isHit(0x102, 1), isHit(0x105, 1), isHit(0xfc, 8)],
    [true, true, false, false, true],
  );
});

test('a PCI access is selected by function and register', () => {
  const pci = { type: IoRequestType.PCI, size: 4, device: 0x1f, pciFunction: 3 };
  const { ask } = bench(['pci=00:1f.3 register=0x10-0x13: ones']);
  assert.equal(ask({ ...pci, register: 0x10 }).answer?.[0], -1);
  assert.notEqual(ask({ ...pci, register: 0x14 }).answer?.[0], -1);
  assert.notEqual(ask({ ...pci, register: 0x10, pciFunction: 2 }).answer?.[0], -1);
  assert.notEqual(ask({ type: IoRequestType.PORT, addressLow: 0x10, size: 1 }).answer?.[0], -1);
});

test('stale reads keep a limited number of addresses and evict the least recently read', () => {
  const { ask, faults } = bench([': stale']);
  for (let address = 0; address <= MAX_STALE_ADDRESSES; address++) ask({ addressLow: address });
  assert.equal(faults.report()[0]?.injected, 0);
  ask({ addressLow: 1 });
  assert.equal(faults.report()[0]?.injected, 1);
  ask({ addressLow: 0 });
  assert.equal(faults.report()[0]?.injected, 1, 'it was evicted');
});

test('slow and delayed requests of several vCPUs have separate timers', () => {
  const { ask, clock } = bench(['vcpu=0: slow=10', 'vcpu=1: delay=20', 'vcpu=1: slow=5']);
  const slow = ask({ vcpu: 0, addressLow: 1 });
  const both = ask({ vcpu: 1, addressLow: 2 });
  const none = ask({ vcpu: 2, addressLow: 3 });
  const answers = (): unknown[] => [slow, both, none].map(({ answer }) => answer?.[0]);
  assert.deepEqual(answers(), [undefined, undefined, 3]);
  clock.advance(10);
  assert.deepEqual(answers(), [1, undefined, 3]);
  clock.advance(14);
  assert.deepEqual(answers(), [1, undefined, 3]);
  clock.advance(1);
  assert.deepEqual(answers(), [1, 2, 3]);
});

test('a slow request whose slot was reused does not reach the device', () => {
  let accesses = 0;
  const { ask, clock } = bench(['times=1: slow=10'], {
    notify: (request) => {
      accesses++;
      request.finish(request.ticket, 7);
    },
  });
  const first = ask({});
  const second = ask({});
  clock.advance(10);
  assert.deepEqual([first.answer, second.answer?.[0], accesses], [undefined, 7, 1]);
});

test('a second or a late answer of a client is refused', () => {
  const kept: { request: AssignedRequest; ticket: number }[] = [];
  const { ask, wrapped } = bench(['read: ones'], {
    notify: (request) => kept.push({ request, ticket: request.ticket }),
  });
  const asked = ask({});
  const [{ request, ticket } = assert.fail()] = kept;
  assert.deepEqual([request.finish(ticket, 1), request.finish(ticket, 2)], [true, false]);
  assert.deepEqual(asked.answer, [-1, -1]);
  ask({});
  wrapped.disconnected?.();
  assert.equal(kept[1]?.request.finish(kept[1].ticket), false);
});

test('a client that throws in a slow access fails as it does in the HSM, and the program goes on', () => {
  const error = new Error('broken');
  const { ask, clock, failures } = bench(['mmio: slow=5ms'], {
    notify: () => {
      throw error;
    },
  });
  ask({ addressLow: 0 });
  assert.deepEqual(failures, []);
  clock.advance(5);
  assert.deepEqual(failures, [error]);
});
