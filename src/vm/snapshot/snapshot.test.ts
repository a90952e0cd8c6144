import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { inOwnThread } from '../../device-model/placement/thread-placement.js';
import { ports } from '../../hsm/address-range.js';
import { V86Hypervisor } from '../../hypervisor/v86/v86-hypervisor.js';
import { ScriptedHypervisor } from '../../hypervisor/scripted/scripted-hypervisor.js';
import { UpcallError, type UpcallErrorCode } from '../../io-request/upcall-error.js';
import { ServiceVm } from '../service-vm.js';
import { COUNTING_GUEST, PORT, Recorder, restoreCounting, startCounting } from './fixtures/counting-guest.js';
import { readSnapshot } from './snapshot.js';

const COUNTER = new URL('../../device-model/placement/fixtures/read-counter.js', import.meta.url);

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'upcall-snapshot-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function refused(code: UpcallErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpcallError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error.remedy !== undefined);
    return true;
  };
}

/** The saved machine of a guest that has counted. */
async function saved(t: TestContext): Promise<{ file: string; written: readonly string[]; savedAt: number }> {
  const file = join(folder(t), 'vm.snap');
  const { serviceVm, vm, recorder } = await startCounting();
  await recorder.until(3000);
  await vm.save(file);
  const { devices } = (await readSnapshot(file)).parts;
  const savedAt = (devices[0]?.state as { count: number }).count;
  await recorder.until(savedAt + 3000);
  await serviceVm.close();
  return { file, written: recorder.written, savedAt };
}

test('a restored guest goes on exactly where it was saved, and so does the one that was saved', async (t) => {
  const { file, written, savedAt } = await saved(t);
  const { serviceVm, vm, recorder } = await restoreCounting(file);
  await recorder.until(savedAt + 3000);
  assert.deepEqual(recorder.written.slice(0, 3000), written.slice(savedAt, savedAt + 3000));
  // Its page, counters and trace work as any other's.
  assert.equal(vm.name, 'vm1');
  assert.ok(vm.counters().requests >= 3000);
  const moves = vm.trace();
  assert.ok((await moves.next()).done === false);
  await moves.return();
  // It can be saved again.
  const again = `${file}2`;
  await vm.save(again, { notes: { text: 'second' } });
  assert.deepEqual((await readSnapshot(again)).notes, { text: 'second' });
  const state = (await readSnapshot(again)).parts.devices[0]?.state as { count: number };
  await recorder.until(state.count + 30);
  await serviceVm.close();
  const third = await restoreCounting(again);
  await third.recorder.until(state.count + 30);
  await third.serviceVm.close();
  const from = state.count - savedAt;
  assert.deepEqual(third.recorder.written.slice(0, 30), recorder.written.slice(from, from + 30));
});

test('notes that are a function are made while the vCPU is held, after the devices are saved', async (t) => {
  const file = join(folder(t), 'vm.snap');
  const { serviceVm, vm, recorder } = await startCounting();
  await recorder.until(30);
  const passed: string[] = [];
  const printer = { name: 'printer', read: () => 0, write: () => undefined, save: () => passed.push('saved') };
  vm.attach(ports(0x600, 1), printer);
  await vm.save(file, { notes: () => ({ count: recorder.count, passed: [...passed] }) });
  const { devices } = (await readSnapshot(file)).parts;
  assert.deepEqual((await readSnapshot(file)).notes, {
    count: (devices[0]?.state as { count: number }).count,
    passed: ['saved'],
  });
  await serviceVm.close();
});

test('whether a VM can be saved is known before its start', async (t) => {
  const serviceVm = new ServiceVm(new V86Hypervisor());
  t.after(() => serviceVm.close());
  const vm = await serviceVm.createUserVm({ memoryMiB: 2, image: { image: COUNTING_GUEST, kind: 'real' } });
  const remove = vm.attach(ports(0x600, 1), { name: 'plain', read: () => 0, write: () => undefined });
  await assert.rejects(vm.expectSavable(), refused('SNAPSHOT_REFUSED', /plain at ports 0x600.*no save\(\)/));
  remove();
  await vm.expectSavable();
});

test('a VM whose device has an access open is not saved, the device is named, and the guest runs on', async (t) => {
  const file = join(folder(t), 'vm.snap');
  writeFileSync(file, 'old');
  const { serviceVm, vm, recorder } = await startCounting(new Recorder(100));
  await recorder.until(100);
  await assert.rejects(
    vm.save(file, { limitMs: 20 }),
    refused('SNAPSHOT_REFUSED', /recorder has had a request of vCPU 0 open for 0\.02 s/),
  );
  assert.equal(readFileSync(file, 'latin1'), 'old');
  recorder.limit = Infinity;
  await recorder.until(200);
  await vm.save(file);
  await serviceVm.close();
  assert.equal(readdirSync(join(file, '..')).length, 1, 'nothing but the file is left');
});

test('a save that cannot write its file leaves nothing', async (t) => {
  const { serviceVm, vm } = await startCounting();
  const path = folder(t);
  await assert.rejects(vm.save(join(path, 'none', 'vm.snap')), refused('SNAPSHOT_REFUSED', /cannot write .*ENOENT/));
  assert.deepEqual(readdirSync(path), []);
  await serviceVm.close();
  await assert.rejects(vm.save(join(path, 'vm.snap')), refused('VM_STATE', /does not run/));
});

test('what cannot be saved is refused by name', async (t) => {
  const path = join(folder(t), 'vm.snap');
  const { serviceVm, vm } = await startCounting();
  vm.attach(ports(0x600, 1), { name: 'stateful', read: () => 0, write: () => undefined });
  vm.attach(ports(0x601, 1), inOwnThread(COUNTER));
  vm.attachCard({
    name: 'card',
    pci: { vendor: 0x1234, device: 5, class: 0xff_0000 },
    read: () => 0,
    write: () => undefined,
  });
  vm.createClient({ name: 'watcher', notify: (request) => request.finishAllOnes(request.ticket) }, [ports(0x700, 1)]);
  await assert.rejects(
    vm.save(path),
    refused(
      'SNAPSHOT_REFUSED',
      /stateful at ports 0x600.*no save\(\); .*it has a thread of its own; card at PCI .*; watcher: it is an I\/O client/,
    ),
  );
  await serviceVm.close();

  const scripted = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const other = await scripted.createUserVm({ memoryMiB: 1 });
  await assert.rejects(other.save(path), refused('VM_STATE', /does not run/));
  await other.start();
  await assert.rejects(other.save(path), refused('SNAPSHOT_REFUSED', /hypervisor scripted cannot save/));
  await scripted.close();
});

test('a restore is refused unless each saved device is there in its version, and then nothing runs', async (t) => {
  const { file } = await saved(t);
  const cases: readonly [device: Recorder | undefined, message: RegExp][] = [
    [undefined, /the snapshot has recorder at ports 0x500.*where the VM has no device/],
    [Object.assign(new Recorder(), { name: 'other' }), /the snapshot has recorder .* the VM has other/],
    [Object.assign(new Recorder(), { stateVersion: 2 }), /has version 0, and the device reads version 2/],
    [Object.assign(new Recorder(), { restore: undefined }), /no restore\(\)/],
    [
      Object.assign(new Recorder(), {
        restore: () => {
          throw new Error('not mine');
        },
      }),
      /recorder .* failed in its restore: not mine/,
    ],
  ];
  const snapshot = await readSnapshot(file);
  for (const [device, message] of cases) {
    const { serviceVm, vm } = await restored(snapshot);
    if (device !== undefined) vm.attach(ports(PORT, 12), device);
    await assert.rejects(vm.start(), refused('SNAPSHOT_REFUSED', message));
    // A second start would run what was restored until then.
    await assert.rejects(vm.start(), { code: 'VM_STATE' });
    const end = await vm.ended;
    assert.equal(end.reason, 'crashed');
    assert.match(end.message, /^it could not be restored: /);
    assert.match(end.message, message);
    await serviceVm.close();
  }
  const scripted = new ServiceVm(new ScriptedHypervisor([]));
  await assert.rejects(
    scripted.restore(file),
    refused('SNAPSHOT_REFUSED', /one of the hypervisor v86 .*, not of scripted/),
  );
  await scripted.close();
});

test('a guest that resets its restored machine ends it, unless the VM has an image', async (t) => {
  const { file } = await saved(t);
  const { serviceVm, vm, recorder } = await restoreCounting(file);
  await assert.rejects(vm.reset(), refused('VM_STATE', /no image to start again from/));
  vm.power.reset('the guest pulled the reset line');
  const end = await vm.ended;
  assert.equal(end.reason, 'power-off');
  assert.match(end.message, /pulled the reset line, and a restored VM has no image/);
  await serviceVm.close();
  assert.ok(recorder.count > 0);

  const second = await restored(file, COUNTING_GUEST);
  const fresh = new Recorder();
  second.vm.attach(ports(PORT, 12), fresh);
  await second.vm.start();
  await fresh.until(fresh.count + 10);
  await second.vm.reset();
  const before = fresh.written.length;
  await fresh.until(fresh.count + 3);
  assert.ok(fresh.written.slice(before - 3).includes('0 1'), 'it counts from 1 again');
  await second.serviceVm.close();
});

async function restored(from: Parameters<ServiceVm['restore']>[0], image?: Uint8Array) {
  const { V86Hypervisor } = await import('../../hypervisor/v86/v86-hypervisor.js');
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.restore(from, image === undefined ? {} : { image: { image, kind: 'real' } });
  return { serviceVm, vm };
}
