import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { ports } from '../../hsm/address-range.js';
import { OneVm } from '../../hsm/fixtures/one-vm.js';
import { Direction } from '../../io-request/layout.js';
import type { Slot } from '../../io-request/slot.js';
import { IoRequestState } from '../../io-request/state.js';
import { OrderedPoll } from '../../sync/poll.js';
import { SharedWords } from '../../sync/shared-words.js';
import { LaneView } from '../../trace/lane.js';
import { MoveBits, movedTo, serviceLane } from '../../trace/trace-ring.js';
import { GATE } from './fixtures/gated-device.js';
import { LineDriver, type InterruptLines } from '../../hypervisor/interrupt-lines.js';
import { ThreadLines } from './thread-lines.js';
import { LineOwners } from '../line-owners.js';
import { ThreadClient } from './in-own-thread.js';
import { inOwnThread, isThreadPlacement } from './thread-placement.js';

const { WRITE } = Direction;
const { COMPLETE } = IoRequestState;
const counter = new URL('./fixtures/read-counter.js', import.meta.url);
const range = ports(0x500, 4);

const folder = mkdtempSync(join(tmpdir(), 'own-thread-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A module with a device, which does `first` when it is loaded. */
function file(name: string, first: string, methods = ''): URL {
  const path = join(folder, name);
  writeFileSync(path, `${first} export default class { name = 'filed'; read() {} write() {} ${methods} }`);
  return pathToFileURL(path);
}

interface Placed {
  readonly vm: OneVm;
  readonly client: ThreadClient;
  readonly errors: string[];
  readonly deaths: string[];
  readonly lines: InterruptLines;
  readonly owners: LineOwners;
  readonly shared: VmSharedState;
}

/**
 * A VM without vCPU threads, whose accesses the test makes, and a device in a thread of its own.
 */
function place(module: URL, options: unknown): Placed {
  const shared = new VmSharedState();
  const vm = new OneVm({ hypercalls: { vcpuCount: 4, notifyRequestFinish: () => 0, shared } });
  const errors: string[] = [];
  const deaths: string[] = [];
  const owners = new LineOwners();
  const client: ThreadClient = new ThreadClient({
    placement: inOwnThread(module, options),
    range,
    lines: shared.lines,
    owners,
    memory: new GuestMemory({ buffer: new SharedArrayBuffer(4096), byteOffset: 0, byteLength: 4096 }),
    reportError: (_, error, during) => void errors.push(`${during}: ${String(error)}`),
    onDeath: (reason) => {
      deaths.push(reason);
      vm.requests.clients.destroy(client);
    },
  });
  vm.requests.clients.add(client, [range]);
  return { vm, client, errors, deaths, lines: shared.lines, owners, shared };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a device in a thread of its own', { timeout: 120_000 }, () => {
  test('is recognised by its placement', () => {
    assert.equal(isThreadPlacement(inOwnThread(counter)), true);
    assert.equal(isThreadPlacement({ name: 'a device', read: () => 0, write: () => undefined }), false);
    assert.equal(isThreadPlacement({ kind: 'something else' }), false);
  });

  test('has its file’s name until it is created, then its own, and answers into the page itself', async () => {
    const { vm, client } = place(counter, { start: 7 });
    assert.equal(client.name, 'read-counter.js');
    await client.ready;
    assert.equal(client.name, 'read counter');
    const slots = [0, 1, 2, 3].map((vcpu) => vm.fill(vcpu, { address: 0x500 + vcpu }));
    vm.requests.dispatch();
    await until(() => slots.every(({ state }) => state === COMPLETE));
    assert.deepEqual(slots.map(({ valueLow }) => valueLow).sort(), [10, 7, 8, 9]);
    vm.requests.close();
  });

  test('wakes the vCPU itself, and its move is in the trace as a client’s', async () => {
    const { vm, client, shared } = place(counter, { start: 7 });
    await client.ready;
    shared.trace.isOn = true;
    const slot = vm.fill(0);
    const woken = shared.doorbell(0).waitAsync(new OrderedPoll(() => slot.state === COMPLETE));
    vm.requests.dispatch();
    await woken;
    const lane = new LaneView(shared.trace, serviceLane(0));
    assert.equal(lane.published, 1);
    assert.deepEqual([movedTo(lane.move(0)), lane.move(0) & MoveBits.HAS_LINK], [COMPLETE, 0]);
    vm.requests.close();
  });

  test('stays while it has nothing to do', async () => {
    const { vm, client, deaths } = place(counter, { start: 7 });
    await client.ready;
    // Longer than a thread without work needs to end: another one starts and ends meanwhile.
    const other = place(counter, { start: 7 });
    await other.client.ready;
    other.vm.requests.close();
    await until(() => !other.client.isRunning);
    assert.deepEqual([client.isRunning, deaths], [true, []]);
    vm.requests.close();
  });

  test('is reported once when its thread dies, and its requests read all ones', async () => {
    const { vm, client, deaths } = place(counter, { start: 7 });
    await client.ready;
    const write = vm.fill(0, { direction: WRITE, address: 0x501, value: 1 });
    const read = vm.fill(1);
    vm.requests.dispatch();
    await until(() => deaths.length > 0);
    assert.deepEqual(deaths, ['process.exit(1) was called, where an error should be thrown']);
    assert.deepEqual([write.state, read.state], [COMPLETE, COMPLETE]);
    assert.deepEqual(vm.requests.clients.all, []);
  });

  test('leaves no interrupt line high when its thread dies', async () => {
    const { vm, client, deaths, lines, owners } = place(counter, { start: 7 });
    await client.ready;
    assert.deepEqual([owners.of(5), owners.of(6)], [['read counter'], []]);
    lines.set(6, true, LineDriver.SERVICE_VM);
    vm.fill(0, { direction: WRITE, address: 0x503, value: 1 });
    vm.requests.dispatch();
    await until(() => lines.level(5));
    vm.fill(1, { direction: WRITE, address: 0x501, value: 1 });
    vm.requests.dispatch();
    await until(() => deaths.length > 0);
    assert.deepEqual([lines.level(5), lines.level(6)], [false, true]);
  });

  test('is refused when the lines have no driver left for it', () => {
    const shared = new VmSharedState();
    while (shared.lines.addDriver() !== undefined);
    const lines = new ThreadLines(shared.lines);
    assert.throws(() => lines.connect('a device'), { code: 'VM_LIMIT', message: /at most 31 drivers/ });
    shared.lines.removeDriver(4);
    assert.equal(lines.connect('a device'), 4);
  });

  test('says why its thread died or was never ready: the error with its place in the file, or the exit code', async () => {
    const failing = file('fails.mjs', 'setTimeout(() => { throw new Error("no disk"); }, 0);');
    const { client, deaths } = place(failing, undefined);
    await client.ready;
    await until(() => deaths.length > 0);
    assert.match(deaths[0] ?? '', /^no disk \(at .*fails\.mjs:1:\d+\)$/);
    const exiting = place(file('exits.mjs', 'process.exit(5);'), undefined);
    await assert.rejects(exiting.client.ready, {
      message: /^exits\.mjs: its thread ended before .* process\.exit\(5\) was called, .* \(at .*exits\.mjs:1:\d+\)$/,
    });
  });

  test('that throws in reset or close is reported with the call, and only its end ends the thread', async () => {
    const body = 'reset() { throw new Error("r"); } close() { throw new Error("c"); }';
    const { vm, client, errors, deaths } = place(file('throws.mjs', '', body), undefined);
    await client.ready;
    client.reset();
    await until(() => errors.length === 1);
    vm.requests.close();
    await until(() => !client.isRunning);
    assert.deepEqual(errors, ['reset: Error: r', 'close: Error: c']);
    assert.deepEqual(deaths, []);
  });

  test('that is reset and closed at once is reset before', async () => {
    const body = 'reset() { throw new Error("r"); } close() { throw new Error("c"); }';
    const { vm, client, errors } = place(file('both.mjs', '', body), undefined);
    await client.ready;
    client.reset();
    vm.requests.close();
    await until(() => !client.isRunning);
    assert.deepEqual(errors, ['reset: Error: r', 'close: Error: c']);
  });

  test('ends its thread when it is removed, and no death is reported', async () => {
    const { vm, client, deaths } = place(counter, { start: 7 });
    await client.ready;
    vm.requests.clients.destroy(client);
    client.disconnected();
    await client.terminate();
    assert.deepEqual(deaths, []);
  });

  test('is terminated when it is removed while it hangs', async () => {
    const { vm, client, deaths } = place(counter, { start: 7 });
    await client.ready;
    const hung = vm.fill(0, { direction: WRITE, address: 0x502, value: 1 });
    vm.requests.dispatch();
    vm.requests.clients.destroy(client);
    assert.equal(hung.state, COMPLETE);
    await client.terminate();
    assert.deepEqual(deaths, []);
  });

  test('that is removed while it loads its modules may load them to the end', async () => {
    const marker = join(folder, 'loaded');
    const slow = `import { writeFileSync } from 'node:fs';
      await new Promise((resolve) => setTimeout(resolve, 600));
      writeFileSync(${JSON.stringify(marker)}, '');`;
    const { vm, client } = place(file('slow.mjs', slow), undefined);
    vm.requests.close();
    await until(() => !client.isRunning);
    assert.equal(existsSync(marker), true);
  });

  test('shows its registers once it is created, and not when its thread has ended', async () => {
    const { vm, client } = place(new URL('./fixtures/shown-device.js', import.meta.url), {
      words: new SharedArrayBuffer(8),
    });
    assert.deepEqual([client.registers, client.isReady, await client.peek()], [undefined, false, undefined]);
    await client.ready;
    assert.equal(client.isReady, true);
    assert.deepEqual(
      client.registers?.registers.map(({ name }) => name),
      ['COUNT', 'HOLD', 'BAD'],
    );
    assert.deepEqual(await client.peek(), [7, undefined, undefined]);
    vm.requests.close();
    await until(() => !client.isRunning);
    assert.equal(await client.peek(), undefined);
  });

  test('has no registers if they cannot be copied to another thread', async () => {
    const body = 'registers = { source: () => "a function", registers: [] };';
    const { vm, client } = place(file('uncopied.mjs', '', body), undefined);
    await client.ready;
    assert.equal(client.registers, undefined);
    vm.requests.close();
  });

  test('rejects `ready` if it cannot be created', async () => {
    const missing = place(new URL('./fixtures/no-such-device.js', import.meta.url), undefined);
    await assert.rejects(missing.client.ready, {
      code: 'DEVICE_MODULE_INVALID',
      remedy: 'Check the path and that the file loads by itself',
    });
    const noOptions = place(counter, undefined);
    await assert.rejects(noOptions.client.ready, {
      code: 'DEVICE_MODULE_INVALID',
      message: /creating the device failed/,
    });
  });
});

/** The device waits in a write of vCPU 0; `act` posts a write at the given offset for a vCPU. */
async function gated(): Promise<Placed & { words: SharedWords; act: (vcpu: number, offset: number) => Slot }> {
  const words = new SharedWords(GATE.WORDS);
  const placed = place(new URL('./fixtures/gated-device.js', import.meta.url), { words: words.buffer });
  const { vm, client } = placed;
  await client.ready;
  const act = (vcpu: number, offset: number): Slot => {
    const slot = vm.fill(vcpu, { direction: WRITE, address: 0x500 + offset });
    vm.requests.dispatch();
    return slot;
  };
  act(0, 0);
  await until(() => words.load(GATE.ENTERED) === 1);
  return { ...placed, words, act };
}

describe('a device in a thread of its own that is late', { timeout: 120_000 }, () => {
  const ask = ({ vm }: Placed, vcpu: number, offset: number): Slot => {
    const slot = vm.fill(vcpu, { address: 0x500 + offset });
    vm.requests.dispatch();
    return slot;
  };
  const position = ({ client }: Placed, vcpu: number): string => client.explain(vcpu).detail ?? '';

  test('explains that it is not created yet, or that its thread has ended', async () => {
    const { client } = place(new URL('./fixtures/never-made.js', import.meta.url), undefined);
    assert.equal(client.explain(0).detail, 'its thread is still creating the device');
    await client.terminate();
    await until(() => client.explain(0).detail === 'its thread has ended');
  });

  test('explains which access its thread is in, and since when', async () => {
    const placed = await gated();
    assert.match(position(placed, 0), /^its thread has been inside this access for \d+ ms$/);
    placed.act(1, 1);
    assert.match(position(placed, 1), /inside an access of vCPU 0 for \d+ ms, and this one waits behind it$/);
    placed.words.store(GATE.OPENED, 1);
    await until(() => placed.words.load(GATE.ACTS) === 12);
    placed.vm.requests.close();
  });

  test('explains that its promise is open', async () => {
    const placed = await gated();
    placed.words.store(GATE.OPENED, 1);
    await until(() => placed.words.load(GATE.ACTS) === 1);
    ask(placed, 1, 3);
    await until(() => position(placed, 1).includes('promise is open'));
    placed.vm.requests.close();
  });

  test('explains that its thread is busy outside of any access', async () => {
    const placed = await gated();
    placed.words.store(GATE.OPENED, 1);
    const answered = ask(placed, 1, 2);
    await until(() => placed.words.load(GATE.ENTERED) === 2);
    assert.equal(answered.state, COMPLETE);
    ask(placed, 2, 1);
    assert.match(position(placed, 2), /blocks outside of any access$/);
    placed.words.store(GATE.OPENED, 2);
    placed.vm.requests.close();
  });
});

/** As when the VM is reset. */
function reset({ vm, client }: Placed): void {
  assert.equal(vm.requests.withdraw(), true);
  client.reset();
  vm.buffer.stampFree();
}

describe('a reset while the thread is busy', { timeout: 120_000 }, () => {
  test('comes before every later request, and the device acts on no earlier one that is still in the mailbox', async () => {
    const { vm, words, act, ...placed } = await gated();
    act(1, 1);
    reset({ vm, ...placed });
    words.store(GATE.OPENED, 1);
    await until(() => words.load(GATE.ACTS) === 19);
    const slot = act(2, 2);
    await until(() => slot.state === COMPLETE);
    assert.equal(words.load(GATE.ACTS), 193);
    vm.requests.close();
  });

  test('a request that replaces one the thread had taken is served once, and after the reset', async () => {
    const { vm, words, act, ...placed } = await gated();
    act(1, 0);
    act(2, 1);
    words.store(GATE.OPENED, 1);
    // The thread has taken the bits of both, and waits in the first.
    await until(() => words.load(GATE.ENTERED) === 2);
    reset({ vm, ...placed });
    const slot = act(2, 2);
    words.store(GATE.OPENED, 2);
    await until(() => slot.state === COMPLETE);
    const last = act(3, 3);
    await until(() => last.state === COMPLETE);
    assert.equal(words.load(GATE.ACTS), 11934);
    vm.requests.close();
  });

  test('also one whose answer is open when its own bit follows', async () => {
    const { vm, words, act, ...placed } = await gated();
    act(1, 0);
    act(2, 1);
    words.store(GATE.OPENED, 1);
    await until(() => words.load(GATE.ENTERED) === 2);
    reset({ vm, ...placed });
    vm.fill(2, { address: 0x503 });
    vm.requests.dispatch();
    words.store(GATE.OPENED, 2);
    await until(() => words.load(GATE.ACTS) >= 1198);
    const last = act(3, 3);
    await until(() => last.state === COMPLETE);
    assert.equal(words.load(GATE.ACTS), 11984);
    vm.requests.close();
  });
});
