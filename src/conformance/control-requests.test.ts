import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../io-request/errno.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { IoRequestState } from '../io-request/state.js';
import { ControlCaller } from './control-caller.js';

const READ = 0;
const WRITE = 1;

async function created(vcpus = 2): Promise<ControlCaller> {
  const caller = new ControlCaller({ vcpuCount: vcpus });
  await caller.create();
  await caller.file.ioctl(Ioctl.START_VM);
  return caller;
}

async function withClient(vcpus = 2): Promise<ControlCaller> {
  const caller = await created(vcpus);
  assert.equal(await caller.file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), 0);
  return caller;
}

describe('the default client', () => {
  test('is created once; the second attempt is −EEXIST', async () => {
    const caller = await withClient();
    assert.equal(await caller.file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), Errno.EEXIST);
  });

  test('destroying it returns 0, even before it was created, and another can be created', async () => {
    const caller = await withClient();
    for (let round = 0; round < 2; round++) assert.equal(await caller.file.ioctl(Ioctl.DESTROY_IOREQ_CLIENT), 0);
    assert.equal(await caller.file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), 0);
  });

  test('its requests finish as all ones when it is destroyed', async () => {
    const caller = await withClient();
    caller.port(1, READ, 0x500, 2);
    await caller.file.ioctl(Ioctl.DESTROY_IOREQ_CLIENT);
    const slot = caller.vm.buffer.slot(1);
    assert.equal(slot.state, IoRequestState.COMPLETE);
    assert.equal(slot.valueLow, -1);
    assert.deepEqual(caller.vm.notified, [1]);
  });

  test('requests from before its creation are served at the next upcall', async () => {
    const caller = await created();
    caller.port(0, READ, 1, 1);
    assert.deepEqual(
      caller.events.map(({ kind }) => kind),
      ['no-client'],
    );
    await caller.file.ioctl(Ioctl.CREATE_IOREQ_CLIENT);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.PENDING);
    caller.pass();
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.PROCESSING);
    assert.equal(caller.vm.buffer.slot(0).kernelHandled, 0);
  });
});

describe('ATTACH', () => {
  test('without a client is −ENODEV', async () => {
    const caller = await created();
    assert.equal(await caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT), Errno.ENODEV);
  });

  test('is level-triggered: 0 at once as long as a request is pending', async () => {
    const caller = await withClient();
    caller.port(0, READ, 1, 1);
    assert.equal(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT), 0);
    assert.equal(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT), 0);
    await caller.notify({ vcpu: 0 });
    assert.ok(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT) instanceof Promise);
  });

  test('waits for a request, and every waiter is woken', async () => {
    const caller = await withClient();
    const waiters = [1, 2, 3].map(() => Promise.resolve(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT)));
    caller.port(1, WRITE, 0x80, 1, 7);
    assert.deepEqual(await Promise.all(waiters), [0, 0, 0]);
  });

  test('a client that is destroyed ends the wait with −ENODEV', async () => {
    const caller = await withClient();
    const waiting = caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT);
    await caller.file.ioctl(Ioctl.DESTROY_IOREQ_CLIENT);
    assert.equal(await waiting, Errno.ENODEV);
  });

  test('a destroyed VM and a closed file end the wait as well', async () => {
    const caller = await withClient();
    const waiting = caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT);
    await caller.file.ioctl(Ioctl.PAUSE_VM);
    await caller.file.ioctl(Ioctl.DESTROY_VM);
    assert.equal(await waiting, Errno.ENODEV);
    const other = await withClient();
    const alsoWaiting = other.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT);
    await other.file.close();
    assert.equal(await alsoWaiting, Errno.ENODEV);
  });

  test('an abort is 0, as a signal is', async () => {
    const caller = await withClient();
    const controller = new AbortController();
    const waiting = caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT, 0, controller.signal);
    controller.abort();
    assert.equal(await waiting, 0);
    assert.equal(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT, 0, controller.signal), 0);
  });

  test('the number of waiters is limited', async () => {
    const caller = await withClient();
    const results = Array.from({ length: 65 }, () => caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT));
    assert.equal(results.at(-1), Errno.ENOMEM);
  });
});

describe('NOTIFY_REQUEST_FINISH', () => {
  test('completes the request with the value in the page, and makes the hypercall', async () => {
    const caller = await withClient();
    caller.port(1, READ, 0x3f8, 1);
    caller.memory.write(caller.page + 256n + 88n, new Uint8Array([0x5a]));
    assert.equal(await caller.notify({ vcpu: 1 }), 0);
    const slot = caller.vm.buffer.slot(1);
    assert.equal(slot.state, IoRequestState.COMPLETE);
    assert.equal(slot.valueLow, 0x5a);
    assert.deepEqual(caller.vm.notified, [1]);
  });

  test('checks in order: the argument, `reserved`, a client, the vCPU', async () => {
    const caller = await created(4);
    assert.equal(await caller.file.ioctl(Ioctl.NOTIFY_REQUEST_FINISH, 0x10n), Errno.EFAULT);
    assert.equal(await caller.notify({ reserved: 1, vcpu: 99 }), Errno.EINVAL);
    assert.equal(await caller.notify({ vcpu: 16 }), 0);
    await caller.file.ioctl(Ioctl.CREATE_IOREQ_CLIENT);
    assert.equal(await caller.notify({ vcpu: 16 }), Errno.EINVAL);
    assert.equal(await caller.notify({ vcpu: 4 }), Errno.EINVAL);
    assert.equal(await caller.notify({ vcpu: 3 }), 0);
  });

  test('the vCPU is truncated to 16 bits and `vmid` is ignored', async () => {
    const caller = await withClient();
    caller.port(0, READ, 1, 1);
    assert.equal(await caller.notify({ vmid: 77, vcpu: 0x10000 }), 0);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.COMPLETE);
  });

  test('a second NOTIFY for one request, or one for a FREE slot, leaves the slot alone', async () => {
    const caller = await withClient();
    const slot = caller.vm.buffer.slot(0);
    assert.equal(await caller.notify({ vcpu: 0 }), 0);
    assert.equal(slot.state, IoRequestState.FREE);
    caller.port(0, READ, 1, 1);
    await caller.notify({ vcpu: 0 });
    assert.ok(slot.release());
    assert.equal(await caller.notify({ vcpu: 0 }), 0);
    assert.equal(slot.state, IoRequestState.FREE);
    assert.deepEqual(caller.vm.notified, [0]);
  });

  test("a kernel client's request is not finished by it", async () => {
    const caller = await withClient();
    const client = { name: 'kernel', notify: () => undefined };
    caller.file.vm?.requests.clients.add(client, [{ type: 0, start: 1n, end: 1n }]);
    caller.port(0, READ, 1, 1);
    assert.equal(await caller.notify({ vcpu: 0 }), 0);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.PROCESSING);
    assert.equal(caller.vm.buffer.slot(0).kernelHandled, 1);
  });

  test('NOTIFY does not finish a request that was never dispatched', async () => {
    const caller = await withClient();
    caller.vm.buffer.slot(0).fill(0, READ, 1, 0, 1, 0, 0, false);
    assert.equal(await caller.notify({ vcpu: 0 }), 0);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.PENDING);
  });
});

describe('CLEAR_VM_IOREQ and RESET_VM', () => {
  test('the default client’s requests are completed; the result is always 0', async () => {
    const caller = await withClient();
    caller.port(0, READ, 1, 1);
    await caller.file.ioctl(Ioctl.PAUSE_VM);
    assert.equal(await caller.file.ioctl(Ioctl.CLEAR_VM_IOREQ), 0);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.COMPLETE);
    assert.ok(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT) instanceof Promise);
  });

  test('CLEAR sleeps ten times for a client that is stuck, then reports it', async () => {
    let sleeps = 0;
    const caller = new ControlCaller({
      sleep: () => {
        sleeps++;
        return Promise.resolve();
      },
    });
    await caller.create();
    caller.file.vm?.requests.clients.add({ name: 'stuck', notify: () => undefined }, [{ type: 0, start: 1n, end: 1n }]);
    caller.port(0, READ, 1, 1);
    assert.equal(await caller.file.ioctl(Ioctl.CLEAR_VM_IOREQ), 0);
    assert.equal(sleeps, 10);
    assert.deepEqual(caller.events, [{ kind: 'flush-timeout', vmId: 1, client: 'stuck' }]);
  });

  test('after a reset no late answer reaches a new request, and ATTACH does not see the old one', async () => {
    const caller = await withClient();
    caller.port(0, READ, 1, 1);
    await caller.file.ioctl(Ioctl.PAUSE_VM);
    assert.equal(await caller.file.ioctl(Ioctl.RESET_VM), 0);
    assert.ok(caller.file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT) instanceof Promise);
    assert.equal(await caller.notify({ vcpu: 0 }), 0);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.FREE);
  });

  test('the PCI address register and the clients survive a reset', async () => {
    const caller = await withClient();
    caller.port(0, WRITE, 0xcf8, 4, 0x8000_1010 | 0);
    caller.vm.buffer.slot(0).release();
    await caller.file.ioctl(Ioctl.PAUSE_VM);
    await caller.file.ioctl(Ioctl.RESET_VM);
    caller.port(0, READ, 0xcfe, 2);
    const slot = caller.vm.buffer.slot(0);
    assert.equal(slot.type, 2);
    assert.equal(slot.pciRegister, 0x12);
    assert.equal(await caller.file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), Errno.EEXIST);
  });
});
