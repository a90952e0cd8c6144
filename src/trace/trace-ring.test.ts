import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type Script } from '../hypervisor/scripted/scripted-hypervisor.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import { TracedPage } from './fixtures/traced-page.js';
import { describeMove, MoveAssembler, type Move } from './move.js';
import { RingReader } from './ring-reader.js';
import {
  eventIndex,
  EventWord,
  EVENT_WORDS,
  headIndex,
  hypervisorLane,
  LANE_EVENTS,
  serviceLane,
  TraceRing,
} from './trace-ring.js';

const UART = { name: 'uart16550' };
const HYPERVISOR = hypervisorLane(0);
const SERVICE = serviceLane(0);

/** A VM with a vCPU thread for each script and a device at port 0x500; `watch` is called before it starts. */
async function play<T>(scripts: readonly Script[], watch: (vm: UserVm) => Promise<T> | T): Promise<T> {
  const serviceVm = new ServiceVm(new ScriptedHypervisor(scripts));
  try {
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, vcpus: scripts.length });
    vm.attach(ports(0x500, 4), { name: 'echo', read: (offset) => offset, write: () => undefined });
    const watching = watch(vm);
    await vm.start();
    await vm.ended;
    return await watching;
  } finally {
    await serviceVm.close();
  }
}

const reads = (count: number): Script => ({
  steps: [{ type: 'port', direction: 'read', address: 0x501, size: 1 }],
  repeat: count,
});

async function collect(moves: AsyncIterable<Move>): Promise<Move[]> {
  const all: Move[] = [];
  for await (const move of moves) all.push(move);
  return all;
}

test('each request of two threads has exactly its four moves, in order, with times that never go back', async () => {
  const requests = 2000;
  const moves = await play([reads(requests), reads(requests)], (vm) => collect(vm.trace()));
  for (const vcpu of [0, 1]) {
    const own = moves.filter((move) => move.vcpu === vcpu);
    const lost = own.reduce((sum, move) => sum + move.lost, 0);
    assert.equal(own.length + lost, 4 * requests, 'every move is told or counted as lost');
    let before: Move | undefined;
    for (const move of own) {
      if (before !== undefined)
        assert.ok(move.timeNs >= before.timeNs, `${describeMove(before)}; ${describeMove(move)}`);
      if (before !== undefined && move.lost === 0) assert.equal(move.from, before.to, describeMove(move));
      assert.equal(move.isRefused, false);
      before = move;
    }
  }
});

test('who reads along loses nothing, however fast the vCPU makes its requests', async () => {
  const requests = 20_000;
  const moves = await play([reads(requests)], (vm) => collect(vm.trace()));
  assert.equal(moves.length, 4 * requests);
  assert.deepEqual(
    moves.filter(({ lost }) => lost > 0),
    [],
  );
});

test('a reader that does not read on asks for a turn of the event loop now and then, not at each request', async () => {
  const page = new TracedPage();
  const requests = LANE_EVENTS;
  const turns = (): number => Array.from({ length: requests }, () => page.trace.dispatched()).filter(Boolean).length;
  assert.equal(turns(), 0, 'nobody reads');
  const moves = page.trace.watch();
  const first = moves.next();
  assert.equal(turns(), 8);
  page.trace.close();
  assert.equal((await first).done, true);
});

test('a reader that comes too late loses the oldest moves and is told how many', async () => {
  const requests = LANE_EVENTS;
  const moves = await play([reads(requests)], async (vm) => {
    const trace = vm.trace();
    // The ring is on from here; nobody reads until the VM has ended.
    await vm.ended;
    return collect(trace);
  });
  const [first] = moves;
  assert.ok(first !== undefined && first.lost >= 4 * requests - 2 * LANE_EVENTS, `${first?.lost}`);
  assert.equal(moves.length + first.lost, 4 * requests);
  assert.deepEqual(
    moves.slice(1).filter(({ lost }) => lost > 0),
    [],
  );
});

test('the four moves tell who moved, the client, the value as it was and as it was answered', () => {
  const page = new TracedPage();
  page.ring.isOn = true;
  page.trace.use();
  const reader = new RingReader(page.ring);
  page.play({ value: 7, answer: 0x5a }, UART);
  const assembler = new MoveAssembler((client) => (client === 1 ? UART.name : undefined), 0);
  const lines: string[] = [];
  reader.read(0, (event, lost) => {
    const move = assembler.assemble(event, lost);
    lines.push(`${move.by}: ${describeMove(move).replace(/^.* ms /, '')}`);
  });
  assert.deepEqual(lines, [
    'vcpu: vCPU 0 FREE → PENDING: read port 0x60/1 = 0x7',
    'hsm: vCPU 0 PENDING → PROCESSING, uart16550: read port 0x60/1 = 0x7',
    'client: vCPU 0 PROCESSING → COMPLETE, uart16550: read port 0x60/1 = 0x5a',
    'vcpu: vCPU 0 COMPLETE → FREE, uart16550: read port 0x60/1 = 0x5a',
  ]);
});

test('a refused move is told as refused', async () => {
  const page = new TracedPage();
  const trace = page.trace.watch();
  assert.equal(page.buffer.slot(3).assign(true), false);
  page.trace.close();
  const [move] = await collect(trace);
  assert.deepEqual([move?.vcpu, move?.from, move?.to, move?.isRefused], [3, 'PENDING', 'PROCESSING', true]);
});

test('what the HSM finishes in its client’s place is told so', async () => {
  const page = new TracedPage();
  const trace = page.trace.watch();
  const slot = page.buffer.slot(0);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  page.trace.assigning(UART);
  slot.assign(true);
  page.trace.recorder.isForced = true;
  slot.complete();
  page.trace.close();
  const moves = await collect(trace);
  assert.equal(moves[2]?.by, 'hsm');
  assert.match(describeMove(moves[2]), /finished by the HSM/);
});

test('while nobody watches, nothing is written', () => {
  const page = new TracedPage();
  page.play({}, UART);
  const heads = (): number[] => [page.ring.head(HYPERVISOR), page.ring.head(SERVICE)];
  assert.deepEqual(heads(), [0, 0]);
  const release = page.trace.use();
  page.play({}, UART);
  assert.deepEqual(heads(), [2, 2]);
  release();
  release();
  page.play({}, UART);
  assert.deepEqual(heads(), [2, 2]);
});

test('a move that is not stamped yet waits for its stamp, and is given at the end all the same', () => {
  const page = new TracedPage();
  page.trace.use();
  const reader = new RingReader(page.ring);
  const slot = page.buffer.slot(0);
  const at = eventIndex(HYPERVISOR, 0) + EventWord.time;
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  const stamp = page.ring.times[at >> 1] as number;
  page.ring.times[at >> 1] = 0;
  let taken = 0;
  reader.read(0, () => taken++);
  assert.equal(taken, 0);
  page.ring.times[at >> 1] = stamp;
  reader.read(0, ({ timeMs }) => assert.equal(timeMs, stamp));
  assert.equal(reader.unread(0), 0);
  slot.stampFree();
  page.ring.times[(eventIndex(HYPERVISOR, 1) + EventWord.time) >> 1] = 0;
  reader.read(0, () => taken++, true);
  assert.equal(taken, 1);
});

test('a stamp that came late is no later than the next move', () => {
  const page = new TracedPage();
  page.trace.use();
  const reader = new RingReader(page.ring);
  page.play({}, UART);
  const pending = (eventIndex(HYPERVISOR, 0) + EventWord.time) >> 1;
  const processing = (eventIndex(SERVICE, 0) + EventWord.time) >> 1;
  page.ring.times[pending] = (page.ring.times[processing] as number) + 5;
  const times: number[] = [];
  reader.read(0, ({ timeMs }) => times.push(timeMs));
  assert.equal(times[0], page.ring.times[processing]);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});

test('rubbish in the ring is read in bounds: nobody throws, and the reader ends', () => {
  const word = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 0x7fff_ffff, -0x8000_0000));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(2 * SLOT_COUNT * LANE_EVENTS * EVENT_WORDS - 1), word), { maxLength: 40 }),
      fc.array(fc.tuple(fc.nat(2 * SLOT_COUNT - 1), word), { maxLength: 6 }),
      (words, heads) => {
        const ring = new TraceRing(new TraceRing().buffer);
        const reader = new RingReader(ring);
        const assembler = new MoveAssembler(() => undefined, 0);
        for (const [at, value] of words) ring.words[eventIndex(0, 0) + at] = value;
        for (const [lane, head] of heads) ring.words[headIndex(lane)] = head;
        for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
          let taken = 0;
          reader.read(
            vcpu,
            (event, lost) => {
              describeMove(assembler.assemble(event, lost));
              taken++;
            },
            true,
          );
          assert.ok(taken <= 2 * LANE_EVENTS);
          assert.equal(reader.unread(vcpu), 0);
        }
      },
    ),
    { seed: 7, numRuns: 100 },
  );
});

test('numbers wrap without losing anything', () => {
  const page = new TracedPage();
  page.trace.use();
  page.ring.words[headIndex(HYPERVISOR)] = 0x7fff_fffe;
  page.ring.words[headIndex(SERVICE)] = 0x7fff_ffff;
  const reader = new RingReader(page.ring);
  page.play({}, UART);
  page.play({}, UART);
  const to: number[] = [];
  let lost = 0;
  const after = reader.read(0, ({ words }, before) => {
    lost += before;
    to.push(((words[EventWord.move] as number) >> 4) & 0xf);
  });
  lost += after;
  const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
  assert.deepEqual(to, [PENDING, PROCESSING, COMPLETE, FREE, PENDING, PROCESSING, COMPLETE, FREE]);
  assert.equal(lost, 0);
});
