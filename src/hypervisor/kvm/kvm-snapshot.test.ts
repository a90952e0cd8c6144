/** Snapshots of VMs on KVM, of one vCPU and of several. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { Device } from '../../device-model/device.js';
import { mmio, ports } from '../../hsm/address-range.js';
import { SavedState } from '../../io-request/saved-state.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { acpiDsdt, guestImage } from '../../vm/guest-library.js';
import { ServiceVm } from '../../vm/service-vm.js';
import {
  COUNTING_GUEST,
  COUNTING_GUEST_WITHOUT_FPU,
  PORT,
  Recorder,
  restoreCounting,
  startCounting,
  type CountingVm,
} from '../../vm/snapshot/fixtures/counting-guest.js';
import { readSnapshot, Snapshot } from '../../vm/snapshot/snapshot.js';
import { standardPc } from '../../vm/standard-pc.js';
import type { UserVm } from '../../vm/user-vm.js';
import { V86Hypervisor } from '../v86/v86-hypervisor.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
/** On some machines KVM emulates all of this guest, and has few instructions of the FPU. */
const isEmulated = skip === false && (await new KvmHypervisor().whyNoSystem()) !== undefined;
const guest = isEmulated ? COUNTING_GUEST_WITHOUT_FPU : COUNTING_GUEST;
const options = { skip, timeout: 120_000 * SLOWNESS };
/** How long a save may wait for what a guest does in the midst of an instruction. */
const limitMs = 10_000 * SLOWNESS;

function fileIn(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'upcall-kvm-snapshot-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 'vm.snap');
}

function refused(code: string, message: RegExp, remedy: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpcallError, String(error));
    assert.equal(error.code, code, error.describe());
    assert.match(error.message, message);
    assert.match(error.remedy ?? '', remedy);
    return true;
  };
}

/** Ends with the test, so that a failure does not keep the process alive. */
async function started(t: TestContext): Promise<CountingVm> {
  const counting = await startCounting(new Recorder(), new KvmHypervisor(), guest);
  t.after(() => counting.serviceVm.close());
  return counting;
}

async function restored(t: TestContext, file: string): Promise<CountingVm> {
  const counting = await restoreCounting(file, new Recorder(), new KvmHypervisor());
  t.after(() => counting.serviceVm.close());
  return counting;
}

describe('a snapshot of a VM on KVM', options, () => {
  test('goes on exactly where it was saved, and so does the VM that was saved', async (t) => {
    const file = fileIn(t);
    const first = await started(t);
    await first.recorder.until(300);
    await first.vm.save(file, { limitMs });
    const savedAt = ((await readSnapshot(file)).parts.devices[0]?.state as { count: number }).count;
    await first.recorder.until(savedAt + 300);
    await first.serviceVm.close();
    const expected = first.recorder.written.slice(savedAt, savedAt + 300);
    const again = `${file}2`;
    for (let restore = 0; restore < 2; restore++) {
      const second = await restored(t, file);
      await second.recorder.until(savedAt + 300);
      assert.deepEqual(second.recorder.written.slice(0, 300), expected);
      await second.vm.save(again, { limitMs });
      await second.recorder.until(second.recorder.count + 60);
      await second.serviceVm.close();
      const secondAt = ((await readSnapshot(again)).parts.devices[0]?.state as { count: number }).count;
      const third = await restored(t, again);
      await third.recorder.until(secondAt + 30);
      await third.serviceVm.close();
      const from = secondAt - savedAt;
      assert.deepEqual(third.recorder.written.slice(0, 30), second.recorder.written.slice(from, from + 30));
    }
  });

  test('is not taken in the midst of a string instruction, whose elements are all made', async (t) => {
    const file = fileIn(t);
    // mov dx, PORT; cld; again: mov si, 0x8000; mov cx, 32; rep outsb; jmp again
    const code = [0xba, PORT & 0xff, PORT >> 8, 0xfc, 0xbe, 0x00, 0x80, 0xb9, 32, 0, 0xf3, 0x6e, 0xeb, 0xf6];
    // At 0x7c00, so that the elements are 0 to 31.
    const image = Uint8Array.from({ length: 0x400 + 32 }, (_, at) => code[at] ?? Math.max(0, at - 0x400));
    const serviceVm = new ServiceVm(new KvmHypervisor());
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, image: { image, kind: 'real' } });
    const recorder = new Recorder();
    vm.attach(ports(PORT, 12), recorder);
    await vm.start();
    await recorder.until(100);
    const counts = [];
    for (let save = 0; save < 5; save++) {
      await vm.save(file, { limitMs });
      counts.push(((await readSnapshot(file)).parts.devices[0]?.state as { count: number }).count);
      await recorder.until(recorder.count + 10);
    }
    await serviceVm.close();
    const values = (from: readonly string[]): readonly number[] => from.map((each) => Number(each.split(' ')[1]));
    values(recorder.written).forEach((value, at) => assert.equal(value, at % 32, `element ${at}`));
    const again = await restored(t, file);
    const last = counts.at(-1) as number;
    await again.recorder.until(last + 100);
    await again.serviceVm.close();
    values(again.recorder.written).forEach((value, at) => assert.equal(value, (last + at) % 32, `element ${at}`));
  });

  for (const [vcpus, where] of [
    [2, 'real mode'],
    [4, '64-bit mode'],
    [16, '64-bit mode'],
  ] as const)
    test(`has ${vcpus} vCPUs in ${where}, and nothing is lost or twice`, async (t) => {
      const file = fileIn(t);
      const first = await SmpRun.create(vcpus);
      const saving = first.counters.reached(where === 'real mode' ? 5 : ROUNDS + 5);
      await first.vm.start();
      await saving;
      await first.vm.save(file, { limitMs });
      await first.expectExact();
      const { parts } = await readSnapshot(file);
      assert.equal(parts.vcpus.length, vcpus);
      const second = await SmpRun.restore(vcpus, file);
      await second.vm.start();
      await second.expectExact();
    });

  test('sleeps in it, and has an interrupt neither twice nor not at all', async (t) => {
    const file = fileIn(t);
    const first = new Sleeper();
    const second = new Sleeper();
    t.after(() => Promise.all([first, second].map(({ serviceVm }) => serviceVm.close())));
    await first.start(await first.serviceVm.createUserVm({ memoryMiB: 1, image: { image: SLEEPER, kind: 'real' } }));
    await first.until(1);
    first.set(5, true);
    await first.until(2);
    await first.vm?.save(file, { limitMs });
    await second.start(await second.serviceVm.restore(file));
    // Line 5 is high, and has the higher priority: another interrupt of it would come first.
    second.set(6, true);
    await second.until(3);
    second.set(5, false);
    second.set(5, true);
    await second.until(4);
    assert.deepEqual(
      [first.written, second.written],
      [
        ['0 0', '0 5'],
        ['0 6', '0 5'],
      ],
    );
  });

  test('of another hypervisor, machine or kernel is refused by name', async (t) => {
    const file = fileIn(t);
    const { serviceVm, vm } = await started(t);
    await vm.save(file, { limitMs });
    await serviceVm.close();
    const snapshot = await readSnapshot(file);
    assert.match(snapshot.parts.hypervisorState, /^form 1, \w+ [0-9a-f]+, [0-9a-f]{16}, Linux \d/);
    const v86 = new ServiceVm(new V86Hypervisor());
    await assert.rejects(
      v86.restore(snapshot),
      refused('SNAPSHOT_REFUSED', /hypervisor kvm \(form 1, .*not of v86/, /--hypervisor kvm/),
    );
    await v86.close();
    const kvm = new ServiceVm(new KvmHypervisor());
    await assert.rejects(
      kvm.restore(new Snapshot({ ...snapshot.parts, hypervisorState: 'form 1, another' })),
      refused('SNAPSHOT_REFUSED', /kvm \(form 1, another\), not of kvm \(form 1/, /same kind of machine/),
    );
    await kvm.close();
  });

  test('that is damaged is refused, by upcall or by the kernel, and nothing runs', async (t) => {
    const file = fileIn(t);
    const { serviceVm, vm } = await started(t);
    await vm.save(file, { limitMs });
    await serviceVm.close();
    const snapshot = await readSnapshot(file);
    const state = snapshot.parts.vcpus[0]?.state as Record<string, string>;
    const sregs = Buffer.from(state['sregs'] ?? '', 'base64').fill(0xff);
    for (const [changed, message] of [
      [{ ...state, lapic: 'AAAA' }, /vCPU 0 has lapic "AAAA": expected base64 of 1024 bytes/],
      [{ ...state, machine: null }, /vCPU 0 is null/],
      [{ ...state, sregs: sregs.toString('base64') }, /the VM is refused: KVM_SET_SREGS failed: EINVAL/],
    ] as const) {
      const kvm = new ServiceVm(new KvmHypervisor());
      const parts = { ...snapshot.parts, devices: [], vcpus: [{ state: changed }] };
      await assert.rejects(
        kvm.restore(new Snapshot(parts)).then((one) => one.start()),
        refused('SNAPSHOT_INVALID', message, /Save the VM again/),
      );
      await kvm.close();
    }
  });
});

/**
 * Enough that no vCPU has finished when the last one starts. A save cannot complete while a vCPU
 * waits in a read of MEET for others that are paused.
 */
const ROUNDS = 300;
/** A read of MEET waits for the slowest of 16 vCPUs, for which there may be two cores. */
const PATIENT = { clientTimeoutMs: Infinity };
// The ranges and registers of the guest smp (guests/smp.asm).
const [PORTS, MEMORY, BYTES] = [0x600, 0xd000_0000, 0x80];
const [TOTAL, COUNT, MEET, ERRORS, OWN] = [0x00, 0x04, 0x08, 0x0c, 0x40];

/** One half of the guest's registers. A read of MEET waits for those of all vCPUs. */
class Counters implements Device {
  readonly name = 'counters';
  #total = 0;
  #errors = 0;
  readonly #own = new Array<number>(16).fill(0);
  readonly #vcpus: number;
  readonly #waiting: (() => void)[] = [];
  #goal = Infinity;
  #onGoal: () => void = () => undefined;

  constructor(vcpus: number) {
    this.#vcpus = vcpus;
  }

  /** Resolves when each vCPU has written its own register `rounds` times. */
  reached(rounds: number): Promise<void> {
    this.#goal = rounds;
    return new Promise((resolve) => (this.#onGoal = resolve));
  }

  read(offset: number): number | Promise<number> {
    if (offset === TOTAL) return this.#total;
    if (offset !== MEET) return offset === ERRORS ? this.#errors : this.#vcpus;
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(0));
      if (this.#waiting.length === this.#vcpus) for (const go of this.#waiting.splice(0)) go();
    });
  }

  write(offset: number, _size: number, value: number): void {
    if (offset === TOTAL) this.#total += value;
    if (offset === TOTAL || offset === COUNT) return;
    const vcpu = (offset - OWN) / 4;
    if (value !== (this.#own[vcpu] ?? 0) + 1) this.#errors++;
    this.#own[vcpu] = value;
    if (this.#own.slice(0, this.#vcpus).every((own) => own >= this.#goal)) this.#onGoal();
  }

  save(): unknown {
    return { total: this.#total, errors: this.#errors, own: [...this.#own] };
  }

  restore(state: unknown): void {
    const from = new SavedState(this.name, state);
    this.#total = from.integer('total', 0, 1e6);
    this.#errors = from.integer('errors', 0, 1e6);
    from.integers('own', 16, 0, 1e6).forEach((own, vcpu) => (this.#own[vcpu] = own));
  }
}

class SmpRun {
  readonly vm: UserVm;
  readonly counters: Counters;
  readonly #serviceVm: ServiceVm;
  readonly #vcpus: number;
  #text = '';

  static async create(vcpus: number): Promise<SmpRun> {
    const serviceVm = new ServiceVm(new KvmHypervisor());
    const image = {
      ...{ image: await readFile(guestImage('smp')), cmdline: String(ROUNDS) },
      dsdt: await readFile(acpiDsdt()),
    };
    const vm = await serviceVm.createUserVm({ vcpus, memoryMiB: 4, image, ...PATIENT });
    return new SmpRun(vcpus, serviceVm, vm);
  }

  static async restore(vcpus: number, file: string): Promise<SmpRun> {
    const serviceVm = new ServiceVm(new KvmHypervisor());
    return new SmpRun(vcpus, serviceVm, await serviceVm.restore(file, PATIENT));
  }

  private constructor(vcpus: number, serviceVm: ServiceVm, vm: UserVm) {
    this.#vcpus = vcpus;
    this.#serviceVm = serviceVm;
    this.vm = vm;
    this.counters = new Counters(vcpus);
    vm.attach(ports(PORTS, BYTES), this.counters);
    vm.attach(mmio(MEMORY, BYTES), new Counters(vcpus));
    standardPc(vm, { console: { write: (bytes) => (this.#text += Buffer.from(bytes).toString('latin1')) } });
  }

  /** The guest prints its sums at its end. */
  async expectExact(): Promise<void> {
    const end = await this.vm.ended;
    await this.#serviceVm.close();
    assert.equal(end.reason, 'power-off', end.message);
    const total = 2 * ROUNDS * this.#vcpus;
    for (const where of ['ports', 'memory'])
      assert.ok(this.#text.includes(`smp: ${where}: ${total} of ${total} writes, out of order 0: exact`), this.#text);
  }
}

/** A guest that writes 0, then sleeps, and writes the number of each line, 5 or 6, that rises. */
const SLEEPER = sleeper();

function sleeper(): Uint8Array {
  // mov al, value; out port, al
  const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
  // The first 8259: ICW1, vectors from 0x20, the second one at line 2, 8086. 5 and 6 are open.
  const controller = [...out(0x20, 0x11), ...out(0x21, 0x20), ...out(0x21, 4), ...out(0x21, 1), ...out(0x21, 0x9f)];
  // mov word [vector * 4], handler; mov word [vector * 4 + 2], 0
  const vector = (number: number, handler: number): number[] => [
    ...[0xc7, 0x06, (number * 4) & 0xff, (number * 4) >> 8, handler & 0xff, handler >> 8],
    ...[0xc7, 0x06, (number * 4 + 2) & 0xff, (number * 4 + 2) >> 8, 0, 0],
  ];
  // mov dx, PORT; mov al, value; out dx, al
  const write = (value: number): number[] => [0xba, PORT & 0xff, PORT >> 8, 0xb0, value, 0xee];
  // ...; mov al, 0x20; out 0x20, al; iret
  const handler = (line: number): number[] => [...write(line), ...out(0x20, 0x20), 0xcf];
  // xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 0x7000
  const setUp = [0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70, ...controller];
  // sti; again: hlt; jmp again
  const sleep = [...write(0), 0xfb, 0xf4, 0xeb, 0xfd];
  const five = 0x7c00 + setUp.length + vector(0, 0).length * 2 + sleep.length;
  const six = five + handler(5).length;
  return Uint8Array.from([
    ...[...setUp, ...vector(0x25, five), ...vector(0x26, six), ...sleep],
    ...[...handler(5), ...handler(6)],
  ]);
}

/** Has the guest, and drives its lines 5 and 6. */
class Sleeper extends Recorder {
  readonly serviceVm = new ServiceVm(new KvmHypervisor());
  vm: UserVm | undefined;
  #lines: readonly ReturnType<UserVm['interruptLine']>[] = [];
  readonly #high = new Set<number>();

  start(vm: UserVm): Promise<void> {
    this.vm = vm;
    this.#lines = Array.from({ length: 7 }, (_, line) => vm.interruptLine(line, this.name));
    vm.attach(ports(PORT, 1), this);
    return vm.start();
  }

  set(line: number, high: boolean): void {
    if (high) this.#high.add(line);
    else this.#high.delete(line);
    this.#lines[line]?.set(high);
  }

  override save(): unknown {
    return { count: this.count, high: [...this.#high] };
  }

  override restore(state: unknown): void {
    super.restore(state);
    for (const line of new SavedState(this.name, state).integersUpTo('high', 2, 5, 6)) this.set(line, true);
  }
}
