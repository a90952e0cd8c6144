import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Direction, SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import type { SlotObserver } from '../io-request/slot-observer.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../sync/shared-words.js';
import { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import type { Answer, SeenRequest, ServiceThreadData } from './fixtures/service-thread-data.js';
import { createRingPage } from '../sync/shared-ring.js';
import { ASYNC_ELEMENT_BYTES } from './async-io.js';
import { RingId } from './async-io-hypercalls.js';
import { GeneralProtection, IoHandler, VcpuStopped } from './io-handler.js';
import { MmioHandlerTable } from './mmio-handlers.js';
import { PortHandlerTable } from './port-handlers.js';
import { Upcall } from './upcall.js';
import { VmSharedState, VmState } from './vm-shared-state.js';

const VCPU = 2;
const { FREE, COMPLETE } = IoRequestState;

const buffer = new SharedBuffer();
const slot = buffer.slot(VCPU);
const upcall = new Upcall();
const shared = new VmSharedState();
let serviceVm: Worker;

before(async () => {
  const workerData: ServiceThreadData = {
    page: buffer.page,
    upcall: upcall.buffer,
    shared: shared.handle,
    vcpu: VCPU,
  };
  serviceVm = new Worker(new URL('./fixtures/service-thread.js', import.meta.url), { workerData });
  await once(serviceVm, 'message');
});
after(() => serviceVm.terminate());

interface Options {
  readonly completionPolling?: boolean;
  readonly ports?: PortHandlerTable;
  readonly mmio?: MmioHandlerTable;
  readonly slot?: Slot;
}

/** A vCPU of a running VM whose slot is FREE. */
function vcpu(options: Options = {}): IoHandler {
  buffer.stampFree();
  shared.setVmState(VmState.RUNNING);
  return new IoHandler({
    vcpu: VCPU,
    slot: options.slot ?? slot,
    upcall,
    shared,
    handlers: { ports: options.ports ?? new PortHandlerTable(), mmio: options.mmio ?? new MmioHandlerTable() },
    completionPolling: options.completionPolling ?? false,
  });
}

/**
 * Makes accesses while the Service VM's thread gives `answers`. Returns the requests that the
 * thread saw.
 */
async function answered(answers: readonly Answer[], access: () => void): Promise<SeenRequest[]> {
  serviceVm.postMessage(answers);
  await once(serviceVm, 'message');
  const seen = once(serviceVm, 'message');
  access();
  return ((await seen) as [SeenRequest[]])[0];
}

/** The VM's asynchronous I/O, with the ring that it has from its first use on. */
function withRing(): VmSharedState['asyncIo'] {
  const { asyncIo } = shared;
  if (asyncIo.ring(RingId.ASYNC_IO) === undefined)
    assert.equal(asyncIo.setupRing(RingId.ASYNC_IO, createRingPage(ASYNC_ELEMENT_BYTES)), 0);
  return asyncIo;
}

/** Returns the vCPU's counters that `access` changes, each with its increment. */
function counted(access: () => void): Record<string, number> {
  const before = shared.counters(VCPU);
  access();
  const now = shared.counters(VCPU);
  const differences = Object.entries(now).map(([name, count]) => [name, count - before[name as keyof typeof now]]);
  return Object.fromEntries(differences.filter(([, count]) => count !== 0)) as Record<string, number>;
}

describe('an access becomes a request', () => {
  test('OUT: size, direction and the low bytes of the value (vector 2, with RAX = 0x1141)', async () => {
    const handler = vcpu();
    const [seen] = await answered([{}], () => handler.portWrite(0x3f8, 1, 0x1141));
    assert.deepEqual(seen, { type: 0, direction: 1, address: [0x3f8, 0], size: 1, value: [0x41, 0], polling: false });
    assert.equal(slot.state, FREE);
  });

  test('IN: the value is taken from the page, no wider than the access', async () => {
    const handler = vcpu();
    const values: number[] = [];
    await answered(
      [1, 2, 3].map(() => ({ value: [0xaabb_ccdd | 0, -1] as const })),
      () => {
        for (const size of [1, 2, 4]) values.push(handler.portRead(0x500, size));
      },
    );
    assert.deepEqual(values, [0xdd, 0xccdd, 0xaabb_ccdd]);
  });

  test('MMIO above 4 GiB, 8 bytes wide, both ways', async () => {
    const handler = vcpu();
    let low = 0;
    const seen = await answered([{}, { value: [0x4433_2211, 0x8877_6655 | 0] }], () => {
      handler.mmioWrite(0x12_3456_7890, 8, 0x1111_1111, 0x2222_2222);
      low = handler.mmioRead(0x12_3456_7890, 8);
    });
    assert.deepEqual(
      seen.map(({ type, direction, address, size }) => [type, direction, ...address, size]),
      [
        [1, 1, 0x3456_7890, 0x12, 8],
        [1, 0, 0x3456_7890, 0x12, 8],
      ],
    );
    assert.deepEqual(seen[0]?.value, [0x1111_1111, 0x2222_2222]);
    assert.deepEqual([low, handler.valueHigh >>> 0], [0x4433_2211, 0x8877_6655]);
  });

  test('a narrow MMIO store carries its bytes, zero-extended', async () => {
    const handler = vcpu();
    const seen = await answered([{}, {}, {}], () => {
      for (const size of [1, 2, 4]) handler.mmioWrite(0xd000_0000, size, 0xdead_beee, 0x77);
    });
    assert.deepEqual(
      seen.map(({ value }) => [value[0] >>> 0, value[1]]),
      [
        [0xee, 0],
        [0xbeee, 0],
        [0xdead_beee, 0],
      ],
    );
  });

  test('a read carries the value of the access before it: the private request is not cleared (X-H11)', async () => {
    const handler = vcpu();
    const values: number[] = [];
    const seen = await answered([{}, {}, { value: [0x99, 0] }, {}], () => {
      handler.portWrite(0x500, 4, 0x1234_5678);
      values.push(handler.portRead(0x504, 4));
      values.push(handler.portRead(0x504, 4));
      values.push(handler.portRead(0x504, 2));
    });
    assert.deepEqual(
      seen.map(({ value }) => value[0]),
      [0x1234_5678, 0x1234_5678, 0x1234_5678, 0x99],
    );
    assert.deepEqual(values, [0x1234_5678, 0x99, 0x99]);
  });

  test('with completion polling the slot says so, and the vCPU sees COMPLETE by itself', async () => {
    const handler = vcpu({ completionPolling: true });
    let value = 0;
    const [seen] = await answered([{ value: [5, 0] }], () => (value = handler.portRead(0x500, 1)));
    assert.equal(seen?.polling, true);
    assert.equal(value, 5);
  });

  test('the vCPU parks for its answer unless it polls for completion', async () => {
    const doorbell = shared.doorbell(VCPU);
    const wait = doorbell.wait.bind(doorbell);
    let waits = 0;
    doorbell.wait = (...options) => {
      waits++;
      return wait(...options);
    };
    try {
      for (const [completionPolling, parks] of [
        [false, true],
        [true, false],
      ] as const) {
        waits = 0;
        const handler = vcpu({ completionPolling });
        await answered([{}], () => handler.portRead(0x500, 1));
        assert.equal(waits > 0, parks);
      }
    } finally {
      doorbell.wait = wait;
    }
  });

  test('accesses and requests are counted', async () => {
    const handler = vcpu();
    let counts = {};
    await answered([{}, {}], () => {
      counts = counted(() => {
        handler.portRead(0x500, 1);
        handler.mmioWrite(0xd000_0000, 4, 1);
      });
    });
    assert.deepEqual(counts, { portAccesses: 1, mmioAccesses: 1, requests: 2 });
  });
});

describe('the hypervisor uses its own copy of the request', () => {
  test('a hostile page that changes type, direction, address and size changes only the value', async () => {
    const handler = vcpu();
    const values: number[] = [];
    const tamper = [
      [0, 1],
      [64, 1],
      [72, 0x666],
      [80, 8],
      [4, 0],
    ] as const;
    await answered([{ tamper, value: [0x1234_5678, 0x7777] }, {}], () => {
      values.push(handler.portRead(0x500, 1));
      handler.portWrite(0x501, 4, 3);
    });
    assert.deepEqual(values, [0x78]);
    assert.equal(slot.state, FREE);
  });

  test('the upper word of a port answer is the PCI bus and does not reach the vCPU', async () => {
    const handler = vcpu();
    const seen = await answered([{}, { tamper: [[92, 0x55]] }, {}], () => {
      handler.mmioWrite(0xd000_0000, 8, 1, 2);
      handler.portRead(0xcfc, 4);
      handler.mmioRead(0xd000_0000, 8);
    });
    assert.deepEqual(seen[2]?.value, [1, 2]);
  });

  test('a slot that is not FREE takes no request: the guest gets a #GP and it is counted', () => {
    const handler = vcpu();
    const states = [IoRequestState.PENDING, IoRequestState.PROCESSING, COMPLETE];
    for (const reach of [0, 1, 2] as const) {
      slot.stampFree();
      slot.fill(0, 0, 0, 0, 1, 0, 0, false);
      if (reach > 0) slot.assign(false);
      if (reach > 1) slot.complete();
      const counts = counted(() => {
        assert.throws(() => handler.portRead(0x500, 2), GeneralProtection);
        assert.throws(() => handler.portWrite(0x500, 1, 1), GeneralProtection);
        assert.throws(() => handler.mmioRead(0xd000_0000, 8), GeneralProtection);
        assert.throws(() => handler.mmioWrite(0xd000_0000, 4, 1), GeneralProtection);
        assert.throws(() => handler.writeProtectedWrite(0x1000, 1, 1), GeneralProtection);
      });
      assert.deepEqual(counts, { portAccesses: 2, mmioAccesses: 3, failed: 5 });
      assert.equal(slot.state, states[reach]);
    }
  });

  test('an invalid state ends the request with all ones, and the next access works', async () => {
    const handler = vcpu();
    const values: number[] = [];
    let counts = {};
    await answered([{ state: 77 }, { state: FREE }, { value: [6, 0] }], () => {
      counts = counted(() => {
        values.push(handler.portRead(0x500, 1), handler.portRead(0x500, 2), handler.portRead(0x500, 1));
      });
    });
    assert.deepEqual(values, [0xff, 0xffff, 6]);
    assert.deepEqual(counts, { portAccesses: 3, requests: 3, failed: 2 });
    assert.equal(slot.state, FREE);
  });

  test('an invalid state ends an 8-byte load with all ones in both words', async () => {
    const handler = vcpu();
    let low = 0;
    await answered([{ state: 77, value: [1, 2] }], () => (low = handler.mmioRead(0xd000_0000, 8)));
    assert.deepEqual([low, handler.valueHigh], [0xffff_ffff, -1]);
  });
});

describe('a vCPU whose VM is no longer running', () => {
  test('makes no request', () => {
    const handler = vcpu();
    for (const state of [VmState.PAUSED, VmState.CREATED, VmState.POWERED_OFF]) {
      shared.setVmState(state);
      assert.throws(() => handler.portRead(0x500, 1), VcpuStopped);
      assert.throws(() => handler.mmioWrite(0xd000_0000, 4, 1), VcpuStopped);
    }
    assert.equal(slot.state, FREE);
  });

  test('as a zombie frees its slot when the late completion comes, takes no value and stops (T10)', async () => {
    const handler = vcpu();
    const seen = await answered([{ vmState: VmState.PAUSED, value: [0x99, 0] }], () => {
      assert.throws(() => handler.portRead(0x500, 1), VcpuStopped);
    });
    assert.equal(seen[0]?.value[0], 0);
    assert.equal(slot.state, FREE);
    shared.setVmState(VmState.RUNNING);
    const [next] = await answered([{}], () => void handler.portRead(0x500, 1));
    assert.equal(next?.value[0], 0, 'the value of the lost request did not reach the next one');
  });

  test('keeps waiting while it is paused, and stops when a reset stamps its slot', async () => {
    const handler = vcpu();
    await answered([{ vmState: VmState.PAUSED, state: FREE }], () => {
      assert.throws(() => handler.portRead(0x500, 1), VcpuStopped);
    });
    assert.equal(slot.state, FREE);
  });

  test('stops waiting for an unanswered request once the VM is powered off, parked or polling', async () => {
    for (const completionPolling of [false, true]) {
      const handler = vcpu({ completionPolling });
      await answered([{ vmState: VmState.POWERED_OFF, completes: false }], () => {
        assert.throws(() => handler.portRead(0x500, 1), VcpuStopped);
      });
    }
  });
});

/** A slot whose next relaxed load returns `nextRelaxed`, a state that the page does not hold. */
class StaleSlot extends Slot {
  nextRelaxed: number | undefined;

  override get relaxedState(): number {
    const { nextRelaxed } = this;
    this.nextRelaxed = undefined;
    return nextRelaxed ?? this.state;
  }
}

/** An enabled observer without effects. */
function idleObserver(): SlotObserver {
  const nothing = (): void => undefined;
  return {
    enabled: Int32Array.of(1),
    filling: nothing,
    filled: nothing,
    assigned: nothing,
    completing: nothing,
    completed: nothing,
    released: nothing,
  };
}

describe('a page that keeps a request PENDING forever', () => {
  for (const completionPolling of [false, true])
    test(`does not keep a vCPU that ${completionPolling ? 'polls' : 'parks'} from being reset`, () => {
      const handler = vcpu({ completionPolling });
      slot.observer = {
        ...idleObserver(),
        // No thread moves the slot again: it stays PENDING.
        filled: () => {
          shared.setVmState(VmState.PAUSED);
          shared.withdraw();
        },
      };
      try {
        assert.throws(() => handler.portRead(0x500, 1), VcpuStopped);
        assert.equal(slot.state, IoRequestState.PENDING);
      } finally {
        slot.observer = undefined;
      }
    });
});

describe('a relaxed load of COMPLETE while the slot is PROCESSING', () => {
  test('does not end the request: the vCPU keeps waiting and gets its answer', () => {
    const stale = new StaleSlot(buffer.page, VCPU);
    const handler = vcpu({ slot: stale });
    const page = new SharedWords(buffer.page);
    const state = (VCPU * SLOT_BYTES + SLOT_OFFSET.state) >> 2;
    let refusals = 0;
    stale.observer = {
      ...idleObserver(),
      // The vCPU polls COMPLETE, but its release() finds PROCESSING.
      filled: () => {
        page.store(state, IoRequestState.PROCESSING);
        stale.nextRelaxed = COMPLETE;
      },
      released: (isMade) => {
        if (isMade) return;
        refusals++;
        stale.setValue(0x77);
        page.store(state, COMPLETE);
      },
    };
    try {
      assert.equal(handler.portRead(0x500, 1), 0x77);
      assert.equal(refusals, 1);
      assert.equal(slot.state, FREE);
    } finally {
      stale.observer = undefined;
    }
  });
});

describe('an access that a handler of the hypervisor matches', () => {
  test('is answered by it and never reaches the page', () => {
    const ports = new PortHandlerTable();
    const written: number[][] = [];
    ports.register(0, 0x20, 2, {
      read: (port, size) => 0x1_0000 * size + port,
      write: (port, size, value) => written.push([port, size, value]) > 0,
    });
    const handler = vcpu({ ports });
    const counts = counted(() => {
      assert.equal(handler.portRead(0x20, 2), 0x20);
      assert.equal(handler.portRead(0x21, 4), 0x4_0021);
      handler.portWrite(0x21, 1, 0x1ff);
    });
    assert.deepEqual(written, [[0x21, 1, 0xff]]);
    assert.deepEqual(counts, { portAccesses: 3, answeredByHypervisor: 3 });
    assert.equal(slot.state, FREE);
  });

  test('is forwarded if the handler declines, or has no read or write', async () => {
    const ports = new PortHandlerTable();
    ports.register(0, 0x20, 1, { read: () => undefined, write: () => false });
    ports.register(1, 0x30, 1, {});
    const mmio = new MmioHandlerTable();
    mmio.register(0x1000, 0x2000, { read: () => undefined, write: () => false });
    const handler = vcpu({ ports, mmio });
    const seen = await answered([{}, {}, {}, {}, {}, {}], () => {
      handler.portRead(0x20, 1);
      handler.portWrite(0x20, 1, 1);
      handler.portRead(0x30, 1);
      handler.portWrite(0x30, 1, 1);
      handler.mmioRead(0x1000, 4);
      handler.mmioWrite(0x1000, 4, 1);
    });
    assert.equal(seen.length, 6);
  });

  test('in memory: an 8-byte read has both words; one that straddles faults and is never forwarded', () => {
    const mmio = new MmioHandlerTable();
    const written: number[][] = [];
    mmio.register(0x1000, 0x1010, {
      read: () => 0x12_3456_789a,
      write: (...access) => written.push(access) > 0,
    });
    const handler = vcpu({ mmio });
    const answeredHere = counted(() => {
      assert.deepEqual([handler.mmioRead(0x1008, 8), handler.valueHigh], [0x3456_789a, 0x12]);
      assert.equal(handler.mmioRead(0x1000, 1), 0x9a);
      handler.mmioWrite(0x1000, 8, 1, 2);
      handler.mmioWrite(0x1000, 8, 3);
      handler.writeProtectedWrite(0x1000, 8, 4);
    });
    assert.deepEqual(answeredHere, { mmioAccesses: 5, answeredByHypervisor: 5 });
    assert.deepEqual(written.splice(0), [
      [0x1000, 8, 1, 2],
      [0x1000, 8, 3, 0],
      [0x1000, 8, 4, 0],
    ]);
    const counts = counted(() => {
      assert.throws(() => handler.mmioRead(0x100e, 4), GeneralProtection);
      assert.throws(() => handler.mmioWrite(0xffe, 4, 1), GeneralProtection);
      assert.throws(() => handler.writeProtectedWrite(0x100f, 2, 1), GeneralProtection);
    });
    assert.deepEqual(counts, { mmioAccesses: 3, failed: 3 });
    assert.equal(written.length, 0);
    assert.equal(slot.state, FREE);
  });

  test('asynchronous I/O takes the writes of its address, and a read of it is a request', async () => {
    const asyncIo = withRing();
    asyncIo.assignAsyncIo({ isPort: true, address: 0x600n, handle: 5 });
    const handler = vcpu();
    const seen = await answered([{ value: [9, 0] }, {}], () => {
      handler.portWrite(0x600, 1, 0);
      assert.equal(handler.portRead(0x600, 1), 9);
      handler.portWrite(0x601, 1, 0);
    });
    assert.deepEqual(
      seen.map((request) => [request.direction, request.address[0]]),
      [
        [Direction.READ, 0x600],
        [Direction.WRITE, 0x601],
      ],
    );
  });

  test('asynchronous I/O compares both words of an MMIO value, and only the low one of a port', async () => {
    const asyncIo = withRing();
    asyncIo.assignAsyncIo({ isPort: false, address: 0xa000n, handle: 6, data: 0x1_0000_0007n });
    asyncIo.assignAsyncIo({ isPort: true, address: 0x610n, handle: 7, data: 7n });
    const handler = vcpu();
    const seen = await answered([{}, {}], () => {
      handler.mmioWrite(0xa000, 8, 7, 1);
      // The upper word still holds that of the access before.
      handler.portWrite(0x610, 4, 7);
      handler.mmioWrite(0xa000, 8, 7, 2);
      handler.portWrite(0x610, 4, 8);
    });
    assert.deepEqual(
      seen.map(({ address, value }) => [address[0], value[0]]),
      [
        [0xa000, 7],
        [0x610, 8],
      ],
    );
  });
});
