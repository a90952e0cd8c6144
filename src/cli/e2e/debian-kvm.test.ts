/**
 * Debian's amd64 kernel on KVM: `upcall run debian --hypervisor kvm`. It is skipped where the
 * machine's KVM can run no operating system. `npm run kvm:machine` has one that can.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvmHypervisor } from '../../hypervisor/kvm/kvm-hypervisor.js';
import { SLOWNESS, whyNoKvm } from '../../hypervisor/kvm/fixtures/needed-kvm.js';
import { whyNoDebian } from './needed-guest.js';
import { MAIN, shellAnswers, start, upcall } from './upcall-process.js';

const LIMIT_MS = 120_000 * SLOWNESS;
const RUN = ['run', 'debian', '--hypervisor', 'kvm'];

async function whyNot(): Promise<string | false> {
  const reason = await whyNoKvm();
  if (reason !== false) return reason;
  return (await new KvmHypervisor().whyNoSystem())?.reason ?? whyNoDebian('amd64');
}

const options = { timeout: 2 * LIMIT_MS, skip: await whyNot() };

for (const vcpus of [1, 2])
  test(
    `Debian boots with ${vcpus} vCPUs, which all take interrupts, and its drivers find the devices`,
    options,
    async () => {
      const commands = [
        'uname -m',
        'grep -c ^processor /proc/cpuinfo',
        'cat /proc/interrupts',
        'cat /sys/class/rtc/rtc0/name',
        'cat /sys/bus/pci/devices/*/vendor',
        'cat /proc/tty/driver/serial',
        'exit 3',
      ].join('; ');
      const { status, stdout, stderr } = await upcall(
        [...RUN, '--vcpus', String(vcpus), '--run', commands, '--stats'],
        '',
        {
          limitMs: LIMIT_MS,
        },
      );
      const output = `${stdout}\n${stderr}`;
      assert.equal(status, 1, output);
      assert.match(stderr, /the guest's exit code is 3\n/);
      assert.match(stdout, new RegExp(`^x86_64\\r?\\n${vcpus}\\r?$`, 'm'));
      const timers = /^LOC:((?: +\d+)+) +Local timer interrupts\r?$/m.exec(stdout)?.[1]?.trim().split(/ +/).map(Number);
      assert.equal(timers?.length, vcpus, output);
      assert.ok(
        timers.every((count) => count > 0),
        output,
      );
      assert.match(stdout, /IO-APIC +4-edge +ttyS0/);
      assert.match(stdout, /rtc_cmos/);
      assert.match(stdout, /0x8086/);
      assert.match(stdout, /0: uart:16550A port:000003F8 irq:4/);
      assert.match(stderr, /\d+ I\/O requests\n/);
    },
  );

test("Debian's shell answers what is typed, and its end powers the machine off", options, async () => {
  const session = start(process.execPath, [MAIN, ...RUN], { limitMs: LIMIT_MS });
  await shellAnswers(session, '# ', 'echo the answer is $((6 * 7))', 'the answer is 42');
});
