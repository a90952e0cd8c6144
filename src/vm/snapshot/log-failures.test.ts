/** Saves with a log of writes that fail part-way, or that something else happens to meanwhile. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ports } from '../../hsm/address-range.js';
import { KvmHypervisor } from '../../hypervisor/kvm/kvm-hypervisor.js';
import { whyNoKvm } from '../../hypervisor/kvm/fixtures/needed-kvm.js';
import { PageSet } from '../../hypervisor/page-set.js';
import { V86Hypervisor } from '../../hypervisor/v86/v86-hypervisor.js';
import { UpcallError, type UpcallErrorCode } from '../../io-request/upcall-error.js';
import { ServiceVm } from '../service-vm.js';
import type { UserVm } from '../user-vm.js';
import {
  COUNTING_GUEST,
  COUNTING_GUEST_WITHOUT_FPU,
  PORT,
  Recorder,
  restoreCounting,
} from './fixtures/counting-guest.js';
import { withWatchedLog, type WatchedLog } from './fixtures/logged-hypervisor.js';

/** Enough for several turns of the event loop. */
const MEMORY_MIB = 32;
const noKvm = await whyNoKvm();
const SAVED = ['start', 'take', 'stop'];
const NOT_TAKEN = ['start', 'stop'];

interface Saving {
  readonly vm: UserVm;
  readonly recorder: Recorder;
  readonly log: WatchedLog;
  readonly file: string;
}

async function started(t: TestContext, onKvm: boolean): Promise<Saving> {
  const path = mkdtempSync(join(tmpdir(), 'upcall-write-log-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const logs: WatchedLog[] = [];
  const hypervisor = withWatchedLog(onKvm ? new KvmHypervisor() : new V86Hypervisor(), (log) => logs.push(log));
  const serviceVm = new ServiceVm(hypervisor);
  t.after(() => serviceVm.close());
  const image = { image: onKvm ? COUNTING_GUEST_WITHOUT_FPU : COUNTING_GUEST, kind: 'real' } as const;
  const vm = await serviceVm.createUserVm({ memoryMiB: MEMORY_MIB, image });
  const recorder = new Recorder();
  vm.attach(ports(PORT, 12), recorder);
  vm.memory.fill(0x5a, 2 ** 20);
  await vm.start();
  await recorder.until(10);
  const [log] = logs;
  assert.ok(log !== undefined);
  return { vm, recorder, log, file: join(path, 'vm.snap') };
}

function refused(code: UpcallErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpcallError, String(error));
    assert.equal(error.code, code, error.describe());
    assert.match(error.message, message);
    return true;
  };
}

/** The guest runs on, nothing is left of the save, and the next one is exact. */
async function runsOn({ vm, recorder, log, file }: Saving, onKvm: boolean): Promise<void> {
  log.reset();
  if (onKvm) expectOff(log);
  assert.deepEqual(readdirSync(join(file, '..')), []);
  await recorder.until(recorder.count + 20);
  log.reset();
  await vm.save(file);
  assert.deepEqual(log.calls, SAVED);
  if (onKvm) expectOff(log);
}

/** The kernel has a log of a slot only while the slot has the flag. */
function expectOff(log: WatchedLog): void {
  assert.throws(() => log.take(new PageSet(2 ** 20)), refused('SNAPSHOT_REFUSED', /KVM_GET_DIRTY_LOG failed: ENOENT/));
}

for (const [name, onKvm] of [
  ['v86', false],
  ['kvm', true],
] as const) {
  const options = { skip: onKvm && noKvm, timeout: 120_000 };

  test(`${name}: a log that cannot be started refuses the save`, options, async (t) => {
    const saving = await started(t, onKvm);
    saving.log.onStarted = () => {
      throw new UpcallError('SNAPSHOT_REFUSED', 'no log');
    };
    await assert.rejects(saving.vm.save(saving.file), refused('SNAPSHOT_REFUSED', /no log/));
    assert.deepEqual(saving.log.calls, NOT_TAKEN);
    await runsOn(saving, onKvm);
  });

  test(`${name}: a log that cannot be taken refuses the save, and the vCPUs run on`, options, async (t) => {
    const saving = await started(t, onKvm);
    saving.log.onTake = () => {
      throw new UpcallError('SNAPSHOT_REFUSED', 'no bitmap');
    };
    await assert.rejects(saving.vm.save(saving.file), refused('SNAPSHOT_REFUSED', /no bitmap/));
    assert.deepEqual(saving.log.calls, SAVED);
    await runsOn(saving, onKvm);
  });

  test(`${name}: a device that keeps an access open, or comes during the copy, refuses it`, options, async (t) => {
    const saving = await started(t, onKvm);
    const { vm, recorder, log, file } = saving;
    log.onStarted = () => (recorder.limit = recorder.count + 1);
    await assert.rejects(vm.save(file, { limitMs: 50 }), refused('SNAPSHOT_REFUSED', /recorder has had a request/));
    assert.deepEqual(log.calls.splice(0), NOT_TAKEN);
    recorder.limit = Infinity;
    log.onStarted = () =>
      setTimeout(() => vm.attach(ports(0x600, 1), { name: 'late', read: () => 0, write: () => undefined }));
    await assert.rejects(vm.save(file), refused('SNAPSHOT_REFUSED', /late at ports 0x600.*no save\(\)/));
    assert.deepEqual(log.calls, NOT_TAKEN);
    if (onKvm) expectOff(log);
    await recorder.until(recorder.count + 20);
  });

  test(`${name}: a VM that is destroyed during the copy is gone at once, and its log before`, options, async (t) => {
    const { vm, log, file } = await started(t, onKvm);
    let callsAtEnd: readonly string[] = [];
    void vm.ended.then(() => (callsAtEnd = [...log.calls]));
    log.onStarted = () => setTimeout(() => void vm.destroy());
    await assert.rejects(vm.save(file), refused('SNAPSHOT_REFUSED', /stopped running while it was saved/));
    assert.equal((await vm.ended).reason, 'destroyed');
    assert.deepEqual(callsAtEnd, NOT_TAKEN);
    assert.deepEqual(readdirSync(join(file, '..')), []);
  });

  test(`${name}: a guest that resets its machine during the copy starts again, unsaved`, options, async (t) => {
    const saving = await started(t, onKvm);
    saving.log.onStarted = () => setTimeout(() => saving.vm.power.reset('the guest pulled the reset line'));
    await assert.rejects(
      saving.vm.save(saving.file),
      refused('SNAPSHOT_REFUSED', /stopped running while it was saved/),
    );
    assert.deepEqual(saving.log.calls, NOT_TAKEN);
    await runsOn(saving, onKvm);
  });

  test(`${name}: two saves at once are made one after the other, and a pause waits for them`, options, async (t) => {
    const { vm, recorder, log, file } = await started(t, onKvm);
    const saves = [vm.save(file), vm.save(`${file}2`)];
    const pause = vm.pause();
    await Promise.all([...saves, pause]);
    assert.deepEqual(log.calls, [...SAVED, ...SAVED]);
    if (onKvm) expectOff(log);
    for (const saved of [file, `${file}2`]) {
      const hypervisor = onKvm ? new KvmHypervisor() : new V86Hypervisor();
      const again = await restoreCounting(saved, new Recorder(), hypervisor);
      await again.recorder.until(again.recorder.count + 20);
      await again.serviceVm.close();
      const at = again.recorder.count - again.recorder.written.length;
      const expected = recorder.written.slice(at, at + 20);
      assert.deepEqual(again.recorder.written.slice(0, expected.length), expected);
    }
  });
}
