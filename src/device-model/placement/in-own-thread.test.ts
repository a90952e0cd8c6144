import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { host } from '../../host/current.js';
import type { ThreadOptions } from '../../host/host.js';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import { ports } from '../../hsm/address-range.js';
import type { ClientFinisher } from '../../hsm/request-finisher.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { replaceTiming, type FakeTiming } from '../../sync/fixtures/fake-timing.js';
import { foregroundTiming } from '../../sync/host-timing.js';
import { JUDGE_MS } from '../../sync/timer-lateness.js';
import { DeviceMailbox, MailboxControl } from './device-mailbox.js';
import type { DeviceThreadData, DeviceThreadMessage } from './device-thread.js';
import type { ReloadObserver } from '../reload/reload-observer.js';
import { LineOwners, NAMELESS } from '../line-owners.js';
import { ThreadClient } from './in-own-thread.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A thread that does only what the test says. */
class FakeThread {
  readonly #options: ThreadOptions;
  readonly data: DeviceThreadData;
  /** Its side of the mailbox. */
  readonly mailbox: DeviceMailbox;
  terminations = 0;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.data = options.data as DeviceThreadData;
    this.mailbox = new DeviceMailbox(this.data.mailbox);
  }

  terminate(): Promise<void> {
    this.terminations++;
    return Promise.resolve();
  }

  post(message: DeviceThreadMessage): void {
    this.#options.onMessage(message);
  }

  fail(error: Error): void {
    this.#options.onError(error);
  }

  exit(code = 0): void {
    this.#options.onExit(code);
  }
}

interface Machine {
  readonly client: ThreadClient;
  readonly shared: VmSharedState;
  readonly finisher: ClientFinisher;
  readonly errors: unknown[][];
  readonly deaths: unknown[][];
  readonly ends: ThreadClient[];
  readonly reports: string[];
  readonly owners: LineOwners;
  thread: FakeThread | undefined;
}

let timing: FakeTiming;

beforeEach(() => (timing = replaceTiming(foregroundTiming)));
afterEach(() => mock.restoreAll());

function machine(reloads?: ReloadObserver): Machine {
  const shared = new VmSharedState();
  const errors: unknown[][] = [];
  const deaths: unknown[][] = [];
  const ends: ThreadClient[] = [];
  const reports: string[] = [];
  const owners = new LineOwners();
  const client: ThreadClient = new ThreadClient({
    placement: {
      kind: 'own-thread',
      module: 'file:///devices/disk.js',
      options: undefined,
      ...(reloads && { reloads }),
    },
    range: ports(0x500, 4),
    memory: new GuestMemory({ buffer: new SharedArrayBuffer(16), byteOffset: 0, byteLength: 16 }),
    lines: shared.lines,
    owners,
    reportError: (...report) => errors.push(report),
    onDeath: (...death) => deaths.push([client, ...death]),
    onEnd: () => ends.push(client),
    onReport: (message) => reports.push(message),
  });
  const finisher = { page: new SharedArrayBuffer(4096), tickets: new SharedArrayBuffer(64), shared: shared.handle };
  return { client, shared, finisher, errors, deaths, ends, reports, owners, thread: undefined };
}

function started(reloads?: ReloadObserver): Machine & { readonly thread: FakeThread; readonly data: DeviceThreadData } {
  const one = machine(reloads);
  let thread: FakeThread | undefined;
  mock.method(host, 'startThread', (_: unknown, options: ThreadOptions) => (thread = new FakeThread(options)));
  one.client.connect(one.finisher);
  assert.ok(thread);
  return { ...one, thread, data: thread.data };
}

describe('a removed device in a thread of its own', () => {
  test('has half a second to close before its thread is terminated', () => {
    const { client, thread } = started();
    thread.post({ kind: 'loaded' });
    client.disconnected();
    assert.equal(thread.mailbox.takeControl(), MailboxControl.CLOSE);
    timing.pass(500);
    assert.equal(thread.terminations, 0);
    timing.pass(JUDGE_MS);
    assert.equal(thread.terminations, 1);
  });

  test('has five seconds while it loads its modules, and half a second from then on', () => {
    for (const loadsAtMs of [undefined, 1000]) {
      const { client, thread } = started();
      client.disconnected();
      if (loadsAtMs === undefined) timing.pass(5000);
      else {
        timing.pass(loadsAtMs);
        thread.post({ kind: 'loaded' });
        assert.equal(timing.running, 1);
        timing.pass(500);
      }
      assert.equal(thread.terminations, 0);
      timing.pass(JUDGE_MS);
      assert.equal(thread.terminations, 1);
    }
  });

  test('has a minute once its `close` has given a promise', () => {
    const { client, thread } = started();
    thread.post({ kind: 'loaded' });
    client.disconnected();
    timing.pass(400);
    thread.post({ kind: 'closing' });
    assert.equal(timing.running, 1);
    timing.pass(60_000);
    assert.equal(thread.terminations, 0);
    timing.pass(JUDGE_MS);
    assert.equal(thread.terminations, 1);
  });

  test('gets no more time by a second removal', () => {
    const { client, thread } = started();
    thread.post({ kind: 'loaded' });
    client.disconnected();
    timing.pass(400);
    client.disconnected();
    timing.pass(100 + JUDGE_MS);
    assert.equal(thread.terminations, 1);
  });

  test('leaves no timer when its thread has ended, which is reported as its end', () => {
    const { client, thread, ends, deaths } = started();
    client.disconnected();
    assert.equal(timing.running, 1);
    thread.exit();
    assert.equal(timing.running, 0);
    assert.deepEqual([ends, deaths, client.isRunning], [[client], [], false]);
  });

  test('loads without a limit while it is not removed', () => {
    const { thread } = started();
    thread.post({ kind: 'loaded' });
    assert.equal(timing.running, 0);
  });
});

describe('a device whose thread died', () => {
  test('is reported with the error and its stack, once, and needs no timer when it is removed', async () => {
    const { client, thread, ends, deaths } = started();
    const ready = assert.rejects(client.ready, { code: 'DEVICE_MODULE_INVALID' });
    const error = new Error('no disk');
    error.stack = 'Error: no disk\n    at read (/devices/disk.js:3:9)';
    thread.fail(error);
    thread.exit(1);
    assert.deepEqual(deaths, [[client, 'no disk (at /devices/disk.js:3:9)', error.stack]]);
    client.disconnected();
    assert.deepEqual([timing.running, ends], [0, []]);
    await ready;
  });

  test('is reported without a stack if the error has none, or with the exit code', () => {
    const first = started();
    const error = new Error('no disk');
    Object.defineProperty(error, 'stack', { value: undefined });
    first.thread.fail(error);
    first.thread.exit(1);
    assert.deepEqual(first.deaths, [[first.client, 'no disk', undefined]]);
    const second = started();
    second.thread.exit(5);
    assert.deepEqual(second.deaths, [[second.client, 'exit code 5 and no error', undefined]]);
  });

  test('that could not be created is not an error of an access', async () => {
    const { client, thread, errors, deaths } = started();
    thread.post({ kind: 'failed', message: 'no such chip', remedy: 'Choose another' });
    await assert.rejects(client.ready, { message: 'no such chip', remedy: 'Choose another' });
    assert.deepEqual([errors, thread.terminations], [[], 1]);
    thread.exit(1);
    assert.deepEqual(deaths, [[client, 'no such chip', undefined]]);
  });

  test('gives back its number of the interrupt lines if no thread could be started', () => {
    const { client, shared, finisher } = machine();
    mock.method(host, 'startThread', () => {
      throw new Error('too many threads');
    });
    assert.throws(() => client.connect(finisher), { code: 'THREAD_FAILED', message: /disk\.js: too many threads$/ });
    const free = new VmSharedState().lines.addDriver();
    assert.equal(shared.lines.addDriver(), free);
  });
});

test('an error of an access is reported with the stack of the device’s thread, if it has one', () => {
  const { thread, errors } = started();
  const stack = 'Error: bug\n    at read (/devices/disk.js:3:9)';
  thread.post({ kind: 'error', during: 'read', message: 'bug', stack });
  thread.post({ kind: 'error', during: 'reset', message: 'no stack' });
  const [[name, error, during] = [], [, bare] = []] = errors;
  assert.deepEqual([name, during], ['disk.js', 'read']);
  assert.ok(error instanceof Error && bare instanceof Error);
  assert.deepEqual([error.message, error.stack], ['bug', stack]);
  assert.equal(typeof bare.stack, 'string');
});

describe('a device in a thread of its own', () => {
  const ready = { kind: 'ready', name: 'a disk', registers: { source: 'none', registers: [] } } as const;

  test('is ready with its name and registers when it is created, not when it is loaded', async () => {
    const { client, thread } = started();
    assert.deepEqual([client.name, client.isReady, client.registers], ['disk.js', false, undefined]);
    thread.post({ kind: 'loaded' });
    assert.deepEqual([client.name, client.isReady], ['disk.js', false]);
    const lines = mock.method(LineOwners.prototype, 'add');
    thread.post(ready);
    assert.equal(lines.mock.callCount(), 0);
    assert.deepEqual([client.name, client.isReady, client.registers], ['a disk', true, ready.registers]);
    await client.ready;
  });

  test('is asked for its registers only while it can answer', async () => {
    const { client, thread } = started();
    assert.equal(await client.peek(), undefined);
    assert.equal(thread.mailbox.takeControl(), 0);
    thread.post(ready);
    const first = client.peek();
    assert.equal(thread.mailbox.takeControl(), MailboxControl.PEEK);
    thread.post({ kind: 'registers', values: [1, 2] });
    assert.deepEqual(await first, [1, 2]);
    assert.equal(thread.terminations, 0);
    const second = client.peek();
    thread.exit(1);
    assert.equal(await second, undefined);
    thread.mailbox.takeControl();
    assert.equal(await client.peek(), undefined);
    assert.equal(thread.mailbox.takeControl(), 0);
  });

  test('is loaded anew by its thread, whose files, outcome and registers are reported', async () => {
    assert.equal(started().data.isReloadable, false);
    const calls: unknown[][] = [];
    const { client, thread, data } = started({
      onFiles: (...files) => calls.push(files),
      onOutcome: (outcome) => calls.push([outcome]),
    });
    assert.equal(data.isReloadable, true);
    thread.post(ready);
    client.reload();
    assert.equal(thread.mailbox.takeControl(), MailboxControl.RELOAD);
    thread.post({ kind: 'files', files: ['disk.js'], isComplete: true });
    assert.deepEqual([calls, client.registers], [[[['disk.js'], true]], ready.registers]);
    const values = client.peek();
    const outcome = { kind: 'reloaded', isStateCarried: true } as const;
    thread.post({ kind: 'reload', outcome });
    assert.deepEqual([calls.slice(1), client.registers, timing.running], [[[outcome]], undefined, 0]);
    thread.post({ kind: 'registers', values: [1] });
    assert.deepEqual(await values, [1]);
    thread.post({ kind: 'report', message: 'needs a reset' });
    assert.equal(calls.length, 2);
  });

  test('gets its registers also while it closes', async () => {
    const { client, thread } = started();
    thread.post(ready);
    const values = client.peek();
    thread.post({ kind: 'closing' });
    thread.post({ kind: 'registers', values: [1] });
    assert.deepEqual(await values, [1]);
  });

  test('that reports or has an interrupt line only does that', () => {
    const { thread, reports } = started();
    thread.post({ kind: 'line', gsi: 5 });
    assert.deepEqual(reports, []);
    thread.post({ kind: 'report', message: 'needs a reset' });
    assert.deepEqual([reports, timing.running], [['needs a reset'], 0]);
  });

  test('is known as the driver of its lines, by the name that it has then', () => {
    const { thread, data, owners } = started();
    assert.equal(owners.changer(NAMELESS, data.lineDriver), 'disk.js');
    thread.post(ready);
    assert.deepEqual(owners.holders(5, 1 << data.lineDriver), ['a disk']);
  });

  test('explains what its thread does with a request', () => {
    const { client, thread } = started();
    const detail = (vcpu: number): string => client.explain(vcpu).detail ?? '';
    assert.equal(detail(3), 'its thread is still creating the device');
    thread.post(ready);
    client.notify(Object.assign(new AssignedRequest(3, { finish: () => false }), { ticket: 7 }));
    assert.match(detail(3), /does not take the request: it computes or blocks outside of any access$/);
    thread.mailbox.takePending();
    assert.match(detail(3), /^its thread has begun the access: /);
    thread.mailbox.enter(3);
    assert.match(detail(3), /^its thread has been inside this access for \d+ ms$/);
    assert.match(
      detail(4),
      /^its thread has been inside an access of vCPU 3 for \d+ ms, and this one waits behind it$/,
    );
    thread.exit();
    assert.equal(detail(3), 'its thread has ended');
  });

  test('is reset through its mailbox, and answers into the page unless it relays', () => {
    const { client, thread } = started();
    client.reset();
    assert.equal(thread.mailbox.takeControl(), MailboxControl.RESET);
    client.notify(Object.assign(new AssignedRequest(3, { finish: () => false }), { ticket: 7 }));
    assert.equal(thread.mailbox.answer(3, 7, 0, 0), false);
  });

  test('has no limit of its end before it has a thread', () => {
    machine().client.disconnected();
    assert.equal(timing.running, 0);
  });

  test('gives back its number of the interrupt lines when its thread has ended', () => {
    const { thread, shared } = started();
    const free = shared.lines.addDriver() ?? 0;
    thread.exit();
    assert.equal(shared.lines.addDriver(), free - 1);
  });
});

describe('the relayed answers', () => {
  interface Relayed extends Machine {
    readonly thread: FakeThread;
    readonly finished: number[][];
    /** Posts a request. */
    readonly notify: (vcpu: number, ticket: number) => void;
    /** The waits for answers so far. */
    readonly waits: () => Promise<void>[];
    /** Times that the event loop was let turn. */
    readonly turns: () => number;
  }

  function relaying(): Relayed {
    const one = started();
    const finished: number[][] = [];
    const requests = Array.from(
      { length: 16 },
      (_, vcpu) =>
        new AssignedRequest(vcpu, {
          finish: (...answer) => {
            finished.push([vcpu, ...answer]);
            return true;
          },
        }),
    );
    const waits = mock.method(DeviceMailbox.prototype, 'waitAnswer');
    const turns = mock.method(host, 'turn');
    one.client.relay(true);
    return {
      ...one,
      finished,
      notify: (vcpu, ticket) => one.client.notify(Object.assign(requests[vcpu] as AssignedRequest, { ticket })),
      waits: () => waits.mock.calls.map(({ result }) => result as Promise<void>),
      turns: () => turns.mock.callCount(),
    };
  }

  test('finish their requests, and the event loop turns after each batch', async () => {
    const { client, thread, finished, notify, turns } = relaying();
    notify(0, 7);
    notify(3, 8);
    thread.mailbox.answer(0, 7, 1, 2);
    thread.mailbox.answer(3, 8, 3, 4);
    await turn();
    await turn();
    assert.deepEqual(finished, [
      [0, 7, 1, 2],
      [3, 8, 3, 4],
    ]);
    assert.equal(turns(), 1);
    client.disconnected();
  });

  test('are taken once, and not for a later request of the slot', async () => {
    const { client, thread, finished, notify } = relaying();
    notify(0, 7);
    thread.mailbox.answer(0, 7, 1, 2);
    await turn();
    await turn();
    thread.mailbox.answer(0, 7, 1, 2);
    await turn();
    await turn();
    assert.equal(finished.length, 1);
    notify(3, 8);
    thread.mailbox.answer(3, 8, 3, 4);
    notify(3, 9);
    await turn();
    await turn();
    assert.equal(finished.length, 1);
    client.disconnected();
  });

  test('are waited for until the device is removed', async () => {
    const { client, waits } = relaying();
    assert.equal(waits().length, 1);
    client.relay(false);
    client.relay(true);
    await turn();
    assert.equal(waits().length, 1, 'it waits already');
    client.disconnected();
    await Promise.all(waits());
    await turn();
    assert.equal(waits().length, 1);
  });

  test('are waited for until its thread dies', async () => {
    const { thread, waits } = relaying();
    thread.exit(1);
    await Promise.all(waits());
    await turn();
    await turn();
    assert.equal(waits().length, 1);
  });
});
