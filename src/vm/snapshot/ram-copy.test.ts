import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { PageSet } from '../../hypervisor/page-set.js';
import { bytesOfRuns, placePages } from '../../hypervisor/sparse-pages.js';
import type { WriteLog } from '../../hypervisor/write-log.js';
import { RamCopy } from './ram-copy.js';

const PAGE = 4096;
const MIB = 2 ** 20;

/** A log of the pages that a test says were written. */
class ToldLog implements WriteLog {
  readonly written: number[] = [];
  isOn = false;
  onStart: () => void = () => undefined;

  start(): void {
    this.isOn = true;
    this.onStart();
  }

  take(into: PageSet): void {
    assert.ok(this.isOn);
    for (const page of this.written) into.add(page);
  }

  stop(): void {
    this.isOn = false;
  }
}

function ram(mib: number): GuestMemory {
  const memory = new GuestMemory({ buffer: new SharedArrayBuffer(mib * MIB), byteOffset: 0, byteLength: mib * MIB });
  memory.fill(1);
  return memory;
}

async function placed(copy: RamCopy, memory: GuestMemory): Promise<Uint8Array> {
  const bytes = new Uint8Array(memory.size);
  placePages(bytes, await copy.pages());
  return bytes;
}

test('without a log all RAM is copied under the hold, and nothing before', async () => {
  const memory = ram(2);
  const copy = new RamCopy({ memory });
  await copy.copyRunning(() => assert.fail('nothing is done beside the guest'));
  memory.writeU8(5 * PAGE, 7);
  copy.copyHeld();
  memory.writeU8(5 * PAGE, 8);
  copy.stop();
  const bytes = await placed(copy, memory);
  assert.equal(bytes[5 * PAGE], 7);
  assert.equal(bytes[6 * PAGE], 1);
});

test('with a log only the pages that are in it are copied under the hold, all others before', async () => {
  const memory = ram(8);
  const writeLog = new ToldLog();
  const copy = new RamCopy({ memory, writeLog });
  // The log comes before the copy.
  writeLog.onStart = () => memory.writeU8(700 * PAGE, 9);
  await copy.copyRunning(() => true);
  memory.writeU8(5 * PAGE, 7);
  memory.writeU8(600 * PAGE, 7);
  memory.fill(0, 601 * PAGE, PAGE);
  writeLog.written.push(600, 601);
  copy.copyHeld();
  copy.stop();
  assert.equal(writeLog.isOn, false);
  memory.fill(2);
  const bytes = await placed(copy, memory);
  // A log that left out page 5 would be wrong: it shows which copy the page is of.
  assert.deepEqual(
    [5, 600, 601, 602, 700].map((page) => bytes[page * PAGE]),
    [1, 7, 0, 1, 9],
  );
});

test('a page of zeros that was written since is there, and one that became zeros is not', async () => {
  const memory = ram(2);
  memory.fill(0, 0, MIB);
  const writeLog = new ToldLog();
  const copy = new RamCopy({ memory, writeLog });
  await copy.copyRunning(() => true);
  memory.writeU8(3 * PAGE + 100, 7);
  memory.fill(0, MIB, PAGE);
  writeLog.written.push(3, 256);
  copy.copyHeld();
  const pages = await copy.pages();
  assert.deepEqual(pages.runs, [3, 1, 257, 255]);
  assert.equal(
    bytesOfRuns(pages.runs),
    pages.pieces.reduce((sum, { length }) => sum + length, 0),
  );
});

test('the event loop has turns during both copies beside the guest, and an end is seen in one', async (t) => {
  const memory = ram(64);
  const writeLog = new ToldLog();
  const copy = new RamCopy({ memory, writeLog });
  const turns: unknown[] = [];
  const timer = setInterval(() => turns.push(timer), 0);
  t.after(() => clearInterval(timer));
  await copy.copyRunning(() => true);
  assert.ok(turns.splice(0).length >= 2, 'turns while it is copied');
  copy.copyHeld();
  await copy.pages();
  assert.ok(turns.length >= 2, 'turns while it is merged');
  let checks = 0;
  await new RamCopy({ memory, writeLog }).copyRunning(() => ++checks < 2);
  assert.equal(checks, 2);
});

test('the pages that are not in the log are not copied again', async () => {
  const memory = ram(64);
  const writeLog = new ToldLog();
  const copy = new RamCopy({ memory, writeLog });
  await copy.copyRunning(() => true);
  writeLog.written.push(7);
  const before = process.memoryUsage().arrayBuffers;
  copy.copyHeld();
  const bytes = process.memoryUsage().arrayBuffers - before;
  assert.ok(bytes < 4 * MIB, `${bytes} bytes are new`);
});
