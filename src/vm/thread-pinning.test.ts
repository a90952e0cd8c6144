import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { host } from '../host/current.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { ServiceVm } from './service-vm.js';
import { FakePlacement } from '../sync/fixtures/fake-placement.js';
import { describePinning, ThreadPinning } from './thread-pinning.js';

const placement = host.placeThreads();
const cannot = placement === undefined && 'this is not Linux, or koffi is not installed';

/** The affinity mask of the main thread, hexadecimal. */
function maskOfThisThread(): string {
  return /^Cpus_allowed:\s*([0-9a-f,]+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1] ?? '';
}

describe('pinning', () => {
  test('auto wakes apart while there are more CPUs than vCPUs', { skip: cannot }, () => {
    const cores = availableParallelism();
    const pinning = new ThreadPinning('auto', undefined);
    assert.equal(pinning.waker !== undefined, cores > 1);
    assert.equal(pinning.cpuOf(0), undefined);
    pinning.add(1, cores - 1);
    assert.equal(pinning.waker?.isOn, cores > 1 ? true : undefined);
    pinning.add(2, 1);
    assert.equal(pinning.waker?.isOn, cores > 1 ? false : undefined);
    pinning.remove(2);
    // A VM that was not created is removed once more.
    pinning.remove(2);
    assert.equal(pinning.waker?.isOn, cores > 1 ? true : undefined);
  });

  test('none and a fixed spin leave the scheduler alone', () => {
    assert.equal(new ThreadPinning('none', undefined).waker, undefined);
    assert.equal(new ThreadPinning('auto', 0).waker, undefined);
  });

  test('a list that is no list of CPUs is an error', () => {
    for (const cpus of [[], [-1], [0, 1.5], [1024], [NaN], 'everywhere' as 'auto'])
      assert.throws(
        () => new ServiceVm(new ScriptedHypervisor([]), { pin: cpus }),
        (error) => error instanceof UpcallError && error.code === 'OPTION_INVALID' && /^pin: /.test(error.message),
      );
  });

  test('the Service VM’s thread is pinned until it is closed', { skip: cannot }, async () => {
    const before = maskOfThisThread();
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]), { pin: [0] });
    assert.match(maskOfThisThread(), /^[0,]*1$/);
    await serviceVm.close();
    assert.equal(maskOfThisThread(), before);
    assert.throws(() => new ThreadPinning([0, 1023], undefined), { code: 'OPTION_INVALID' });
    assert.equal(maskOfThisThread(), before);
  });

  test('a CPU that the process may not use is an error', { skip: cannot }, () => {
    assert.throws(() => new ThreadPinning([1023], undefined), {
      code: 'OPTION_INVALID',
      message: 'pin: this process may not run on CPU 1023',
    });
  });

  test('what is started unpinned runs on all CPUs, also if its start fails', { skip: cannot }, () => {
    const cpus = (): string => execFileSync('nproc', { encoding: 'utf8' }).trim();
    const all = cpus();
    const pinning = new ThreadPinning([0], undefined);
    try {
      assert.deepEqual([cpus(), pinning.unpinned(cpus), cpus()], ['1', all, '1']);
      assert.throws(() =>
        pinning.unpinned(() => {
          throw new Error('no program');
        }),
      );
      assert.equal(cpus(), '1');
    } finally {
      pinning.close();
    }
    assert.equal(cpus(), all);
    assert.equal(new ThreadPinning('none', undefined).unpinned(cpus), all);
  });

  test('doctor’s line says what auto does, or why it does nothing', () => {
    const fake = new FakePlacement();
    assert.equal(describePinning(1, fake), 'auto does nothing: there is one CPU');
    assert.match(describePinning(2, fake), /different CPUs, up to 1 vCPU$/);
    assert.match(describePinning(8, fake), /up to 7 vCPUs$/);
    assert.equal(placement === undefined || availableParallelism() === 1, /does nothing/.test(describePinning()));
  });
});
