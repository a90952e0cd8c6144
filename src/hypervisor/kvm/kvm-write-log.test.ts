/** The kernel's log of written pages, and saves that use it. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ports } from '../../hsm/address-range.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { PORT, Recorder } from '../../vm/snapshot/fixtures/counting-guest.js';
import { withWatchedLog, type WatchedLog } from '../../vm/snapshot/fixtures/logged-hypervisor.js';
import type { UserVm } from '../../vm/user-vm.js';
import { PageSet } from '../page-set.js';
import { LoneVcpu } from './fixtures/lone-vcpu.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';
import { Kernel } from './kernel.js';
import { KvmHypervisor } from './kvm-hypervisor.js';

const options = { skip: await whyNoKvm(), timeout: 120_000 * SLOWNESS };
const PAGE = 4096;
const MIB = 2 ** 20;
const MEMORY_MIB = 32;

test('the log has the pages on both sides of the screen memory, until it is taken', options, async (t) => {
  // Again and again: mov al, [bx]; inc byte [bx], then in dx: the segments 0x9f00, 0xc000, 0xff00.
  const store = (segment: number): number[] => [0xb8, segment & 0xff, segment >> 8, 0x8e, 0xd8, 0xfe, 0x07];
  const code = [0x31, 0xdb, 0xba, 0x00, 0x05, ...store(0x9f00), ...store(0xc000), ...store(0xff00), 0xec];
  const lone = await LoneVcpu.create([...code, 0xeb, (-code.length - 2 + 5) & 0xff]);
  t.after(() => lone.close());
  const { machine } = lone;
  const { writeLog, memory } = machine;
  const taken = (): number[] => {
    const set = new PageSet(memory.size);
    writeLog.take(set);
    return Array.from({ length: set.count }, (_, page) => page).filter((page) => set.has(page));
  };
  lone.runUntil(1);
  memory.writeU8(5 * PAGE, 1);
  writeLog.start();
  assert.deepEqual(taken(), [], 'what was written before the start is not in it');
  // The kernel writes whole words of 64 pages. The slot has 160.
  const slot = { slot: 0, guestAddress: 0, memory: memory.handle.buffer, offset: 0, bytes: 0xa_0000 };
  assert.equal((await Kernel.open()).calls.takeLog(machine.kernelVm, slot).length, 24);
  lone.runUntil(2);
  // From the Service VM's side, also where the guest has no RAM.
  memory.write(8 * PAGE - 1, Uint8Array.of(1, 2));
  memory.writeU32(0xa_0000, 7);
  assert.deepEqual(taken(), [7, 8, 0x9f, 0xa0, 0xc0, 0xff]);
  assert.deepEqual(taken(), []);
  lone.runUntil(3);
  assert.deepEqual(taken(), [0x9f, 0xc0, 0xff]);
  assert.ok(
    [0x9f, 0xc0, 0xff].every((page) => memory.readU8(page * PAGE) >= 2),
    'the guest has written',
  );
  writeLog.stop();
  lone.runUntil(4);
  assert.throws(taken, /the kernel does not log which pages are written: KVM_GET_DIRTY_LOG failed: ENOENT/);
  writeLog.start();
  assert.deepEqual(taken(), [], 'a log begins empty');
  lone.runUntil(5);
  assert.deepEqual(taken(), [0x9f, 0xc0, 0xff]);
  writeLog.stop();
});

/** What vCPU 0 writes to, above the screen memory. Its code is at 1 MiB. */
const FIRST = 2 * MIB;
const END = 20 * MIB;
/** Where the other vCPUs start. They write to the pages from 0x10 on, below the screen memory. */
const OTHERS = 0x8000;

const word = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
/** mov dword [address], value */
const store32 = (address: number, value: number): number[] => [0xc7, 0x05, ...word(address), ...word(value)];
/** The command of the local APIC: INIT, then SIPI, to all others. */
const START_OTHERS = [...store32(0xfee0_0300, 0x000c_4500), ...store32(0xfee0_0300, 0x000c_4600 | (OTHERS >> 12))];

/** Flat 32-bit code: `perTurn` pages, then a request. */
function writer(perTurn: number): Uint8Array {
  return Uint8Array.from([
    ...START_OTHERS,
    ...[0x66, 0xba, PORT & 0xff, PORT >> 8], // mov dx, PORT
    ...[0xbb, ...word(FIRST)], // mov ebx, FIRST
    ...[0xb9, ...word(perTurn)], // turn: mov ecx, perTurn
    ...[0x40, 0x01, 0x03], // again: inc eax; add [ebx], eax
    ...[0x81, 0xc3, ...word(PAGE)], // add ebx, 4096
    ...[0x81, 0xfb, ...word(END)], // cmp ebx, END
    ...[0x72, 0x05, 0xbb, ...word(FIRST)], // jb next; mov ebx, FIRST
    ...[0x49, 0x75, 0xe7], // next: dec ecx; jnz again
    ...[0xef, 0xeb, 0xdf], // out dx, eax; jmp turn
  ]);
}

/** Real-mode code of the other vCPUs. */
const OTHER_WRITER = Uint8Array.of(
  ...[0xb8, 0x00, 0x10], // again: mov ax, 0x1000
  ...[0x8e, 0xd8, 0xff, 0x06, 0x00, 0x00], // next: mov ds, ax; inc word [0]
  ...[0x05, 0x00, 0x01, 0x3d, 0x00, 0xa0], // add ax, 0x100; cmp ax, 0xa000
  ...[0x72, 0xf2, 0xeb, 0xed], // jb next; jmp again
);

/** Copies the RAM at the hold, and writes to RAM at each request. */
class Copier extends Recorder {
  held = new Uint8Array(0);
  vm: UserVm | undefined;

  override write(offset: number, size: number, value: number): void | Promise<void> {
    this.vm?.memory.writeU32(24 * MIB, value);
    return super.write(offset, size, value);
  }

  override save(): unknown {
    // What a device writes when it is saved belongs to the state, too.
    this.vm?.memory.writeU32(25 * MIB, this.count);
    this.held = this.vm?.memory.bytes.slice() ?? this.held;
    return super.save();
  }
}

interface Writing {
  readonly vm: UserVm;
  readonly copier: Copier;
  readonly log: WatchedLog;
  readonly file: string;
}

async function writing(t: TestContext, vcpus: number, perTurn: number): Promise<Writing> {
  const path = mkdtempSync(join(tmpdir(), 'upcall-kvm-write-log-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const logs: WatchedLog[] = [];
  const serviceVm = new ServiceVm(withWatchedLog(new KvmHypervisor(), (log) => logs.push(log)));
  t.after(() => serviceVm.close());
  const image = { image: writer(perTurn), kind: 'flat-32' } as const;
  const vm = await serviceVm.createUserVm({ memoryMiB: MEMORY_MIB, vcpus, image });
  const copier = new Copier();
  copier.vm = vm;
  vm.attach(ports(PORT, 4), copier);
  vm.memory.fill(0x5a, FIRST);
  vm.memory.write(OTHERS, OTHER_WRITER);
  await vm.start();
  await copier.until(20);
  const [log] = logs;
  assert.ok(log !== undefined);
  return { vm, copier, log, file: join(path, 'vm.snap') };
}

/** The file has the memory as it was at the hold, and nothing older. */
async function expectHeld({ copier, file }: Writing): Promise<void> {
  const serviceVm = new ServiceVm(new KvmHypervisor());
  const { memory } = await serviceVm.restore(file);
  const different = Array.from({ length: memory.size / PAGE }, (_, page) => page).filter((page) => {
    const [start, end] = [page * PAGE, (page + 1) * PAGE];
    return Buffer.compare(memory.bytes.subarray(start, end), copier.held.subarray(start, end)) !== 0;
  });
  await serviceVm.close();
  assert.deepEqual(different, []);
}

for (const vcpus of [1, 4])
  test(`${vcpus} vCPUs that write all the time are saved as they are at the hold`, options, async (t) => {
    const run = await writing(t, vcpus, 4);
    const { vm, copier, log, file } = run;
    const timer = setInterval(() => vm.memory.writeU32(26 * MIB, copier.count), 0);
    t.after(() => clearInterval(timer));
    let requests = 0;
    log.onStarted = () => (requests = copier.count);
    log.onTake = () => (requests = copier.count - requests);
    for (let save = 0; save < 3; save++) {
      await vm.save(file);
      assert.ok(requests > 0, 'requests are handled while the RAM is copied');
      await expectHeld(run);
      assert.ok(log.taken.has((24 * MIB) / PAGE), "the device's writes");
      assert.ok(log.taken.has((26 * MIB) / PAGE), "the program's writes");
      for (const page of vcpus === 1 ? [] : [0x10, 0x9f]) assert.ok(log.taken.has(page), `page ${page}`);
      assert.ok(log.takenCount < (MEMORY_MIB * MIB) / PAGE - 1000, `${log.takenCount} pages were copied at the hold`);
      await copier.until(copier.count + 20);
    }
  });

test('a guest that writes faster than is copied is saved in one round', options, async (t) => {
  const run = await writing(t, 2, 2000);
  await run.vm.save(run.file);
  assert.deepEqual(run.log.calls, ['start', 'take', 'stop']);
  await expectHeld(run);
});

test('a page that a program writes once, after it was copied, is the new one', options, async (t) => {
  const run = await writing(t, 1, 1);
  const { vm, log, file } = run;
  // The first piece is copied in the turn that the log starts in. This is a later one.
  const page = 0x9_8000;
  log.onStarted = () => setTimeout(() => vm.memory.write(page, Uint8Array.of(0xab)));
  await vm.save(file);
  await expectHeld(run);
  assert.equal(run.copier.held[page], 0xab);
  assert.ok(log.taken.has(page / PAGE));
});
