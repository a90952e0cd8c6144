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
import { LaneView, ServiceLane } from './lane.js';
import { MoveAssembler } from './move-assembler.js';
import { describeMove, type Move } from './move.js';
import { RingReader } from './ring-reader.js';
import {
  entryIndex,
  EntryWord,
  ENTRY_WORDS,
  begunIndex,
  hypervisorLane,
  LANE_ENTRIES,
  MoveBits,
  publishedIndex,
  serviceLane,
  TraceRing,
} from './trace-ring.js';

const UART = { name: 'uart16550' };
const HYPERVISOR = hypervisorLane(0);
const SERVICE = serviceLane(0);

/**
 * Runs a VM with a vCPU thread for each script and a device at port 0x500. Calls `watch` before it
 * starts.
 */
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

test('each request of two threads has its four moves in order, with times that never decrease', async () => {
  const requests = 2000;
  const moves = await play([reads(requests), reads(requests)], (vm) => collect(vm.trace()));
  for (const vcpu of [0, 1]) {
    const own = moves.filter((move) => move.vcpu === vcpu);
    const lost = own.reduce((sum, move) => sum + move.lost, 0);
    assert.equal(own.length + lost, 4 * requests, 'every move is given or counted as lost');
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

test('a reader that keeps reading loses no move, however fast the vCPU makes requests', async () => {
  const requests = 20_000;
  const moves = await play([reads(requests)], (vm) => collect(vm.trace()));
  assert.equal(moves.length, 4 * requests);
  assert.deepEqual(
    moves.filter(({ lost }) => lost > 0),
    [],
  );
});

test('a reader that does not read gets a turn of the event loop once per batch, not at each request', async () => {
  const page = new TracedPage();
  const requests = LANE_ENTRIES;
  const turns = (): number => Array.from({ length: requests }, () => page.trace.dispatched()).filter(Boolean).length;
  assert.equal(turns(), 0, 'without a reader');
  const moves = page.trace.watch();
  const first = moves.next();
  assert.equal(turns(), 8);
  page.trace.close();
  assert.equal((await first).done, true);
});

test('a reader that starts too late loses the oldest moves and reports how many', async () => {
  const requests = LANE_ENTRIES;
  const moves = await play([reads(requests)], async (vm) => {
    const trace = vm.trace();
    // The ring is on from here. The first read is after the VM has ended.
    await vm.ended;
    return collect(trace);
  });
  const [first] = moves;
  assert.ok(first !== undefined && first.lost >= 4 * requests - 2 * LANE_ENTRIES, `${first?.lost}`);
  assert.equal(moves.length + first.lost, 4 * requests);
  assert.deepEqual(
    moves.slice(1).filter(({ lost }) => lost > 0),
    [],
  );
});

test('the four moves of a request name the side that moved and the client, and have the value before and after the answer', () => {
  const page = new TracedPage();
  page.ring.isOn = true;
  page.trace.use();
  const reader = new RingReader(page.ring);
  page.play({ value: 7, answer: 0x5a }, UART);
  const assembler = new MoveAssembler((client) => (client === 1 ? UART.name : undefined), 0);
  const lines: string[] = [];
  reader.read(0, (entry, lost) => {
    const move = assembler.assemble(entry, lost);
    lines.push(`${move.by}: ${describeMove(move).replace(/^.* ms /, '')}`);
  });
  assert.deepEqual(lines, [
    'vcpu: vCPU 0 FREE → PENDING: read port 0x60/1',
    'hsm: vCPU 0 PENDING → PROCESSING, uart16550: read port 0x60/1',
    'client: vCPU 0 PROCESSING → COMPLETE, uart16550: read port 0x60/1 = 0x5a',
    'vcpu: vCPU 0 COMPLETE → FREE, uart16550: read port 0x60/1 = 0x5a',
  ]);
});

test('a refused move is marked as refused', async () => {
  const page = new TracedPage();
  const trace = page.trace.watch();
  assert.equal(page.buffer.slot(3).assign(true), false);
  page.trace.close();
  const [move] = await collect(trace);
  assert.deepEqual([move?.vcpu, move?.from, move?.to, move?.isRefused], [3, 'PENDING', 'PROCESSING', true]);
});

test('a request that the HSM finishes on behalf of its client is marked as such', async () => {
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

test('without a user the ring is off and no entry is written', () => {
  const page = new TracedPage();
  page.play({}, UART);
  const heads = (): number[] => [HYPERVISOR, SERVICE].map((lane) => new LaneView(page.ring, lane).published);
  assert.deepEqual(heads(), [0, 0]);
  const release = page.trace.use();
  page.play({}, UART);
  assert.deepEqual(heads(), [2, 2]);
  release();
  release();
  page.play({}, UART);
  assert.deepEqual(heads(), [2, 2]);
});

test('a move whose time is still to be written is held back, and passed on without one at the end', () => {
  const page = new TracedPage();
  page.trace.use();
  const reader = new RingReader(page.ring);
  const slot = page.buffer.slot(0);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  page.trace.assigning(UART);
  slot.assign(true);
  const to: string[] = [];
  const assembler = new MoveAssembler(() => UART.name, 0);
  const read = (isLast = false): string[] => {
    reader.read(0, (entry, lost) => to.push(assembler.assemble(entry, lost).to), isLast);
    return to.splice(0);
  };
  assert.deepEqual(read(), ['PENDING', 'PROCESSING']);
  // A client's thread has written the entry, made the move, and not read the clock yet.
  const lane = new ServiceLane(page.ring, 0);
  const toComplete = IoRequestState.PROCESSING | (IoRequestState.COMPLETE << MoveBits.TO_SHIFT) | MoveBits.IS_TIMED;
  lane.completing(toComplete, 0x5a, 0);
  assert.deepEqual(read(), []);
  lane.completed(true, performance.now() + page.ring.clockOffsetMs);
  assert.deepEqual(read(), ['COMPLETE']);
  lane.completing(toComplete, 0x5a, 0);
  assert.deepEqual(read(true), ['COMPLETE']);
  assert.equal(reader.unread(0), 0);
});

test('a time that was taken late is bounded by that of the next move', () => {
  const page = new TracedPage();
  page.trace.use();
  const reader = new RingReader(page.ring);
  page.play({}, UART);
  const pending = (entryIndex(HYPERVISOR, 0) + EntryWord.time) >> 1;
  const processing = (entryIndex(SERVICE, 0) + EntryWord.time) >> 1;
  page.ring.times[pending] = (page.ring.times[processing] as number) + 5;
  const times: number[] = [];
  reader.read(0, ({ timeMs }) => times.push(timeMs));
  assert.equal(times[0], page.ring.times[processing]);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});

test('garbage in the ring is read within bounds, without a throw and without an endless loop', () => {
  const word = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 0x7fff_ffff, -0x8000_0000));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(2 * SLOT_COUNT * LANE_ENTRIES * ENTRY_WORDS - 1), word), { maxLength: 40 }),
      fc.array(fc.tuple(fc.nat(2 * SLOT_COUNT - 1), fc.boolean(), word), { maxLength: 6 }),
      (words, counts) => {
        const ring = new TraceRing(new TraceRing().buffer);
        const reader = new RingReader(ring);
        const assembler = new MoveAssembler(() => undefined, 0);
        for (const [at, value] of words) ring.words[entryIndex(0, 0) + at] = value;
        for (const [lane, isBegun, count] of counts)
          ring.words[isBegun ? begunIndex(lane) : publishedIndex(lane)] = count;
        for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
          let taken = 0;
          reader.read(
            vcpu,
            (entry, lost) => {
              describeMove(assembler.assemble(entry, lost));
              taken++;
            },
            true,
          );
          assert.ok(taken <= 2 * LANE_ENTRIES);
          assert.equal(reader.unread(vcpu), 0);
        }
      },
    ),
    { seed: 7, numRuns: 100 },
  );
});

test('no entry is lost when entry numbers wrap', () => {
  const page = new TracedPage();
  page.trace.use();
  page.ring.words[publishedIndex(HYPERVISOR)] = page.ring.words[begunIndex(HYPERVISOR)] = 0x7fff_fffe;
  page.ring.words[publishedIndex(SERVICE)] = 0x7fff_ffff;
  const reader = new RingReader(page.ring);
  page.play({}, UART);
  page.play({}, UART);
  const to: number[] = [];
  let lost = 0;
  const after = reader.read(0, ({ words }, before) => {
    lost += before;
    to.push(((words[EntryWord.move] as number) >> 4) & 0xf);
  });
  lost += after;
  const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
  assert.deepEqual(to, [PENDING, PROCESSING, COMPLETE, FREE, PENDING, PROCESSING, COMPLETE, FREE]);
  assert.equal(lost, 0);
});
