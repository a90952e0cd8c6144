/** What the guest `smp` reports of its devices and its command line, and the status it gives. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { Device } from '../../device-model/device.js';
import { mmio, ports } from '../../hsm/address-range.js';
import { acpiDsdt, guestImage } from '../../vm/guest-library.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { standardPc } from '../../vm/standard-pc.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const LIMIT_MS = 60_000 * SLOWNESS;
// guests/smp.asm
const [TOTAL, COUNT] = [0x00, 0x04];

/** Adds what is written to TOTAL, times `factor`, on one vCPU. */
function counter(factor: number): Device {
  let total = 0;
  return {
    name: 'counter',
    read: (offset) => (offset === COUNT ? 1 : offset === TOTAL ? total : 0),
    write: (offset, _size, value) => void (total += offset === TOTAL ? factor * value : 0),
  };
}

interface Report {
  readonly text: string;
  readonly exitCode: number | undefined;
}

async function report(cmdline: string | undefined, atPorts?: Device, inMemory?: Device): Promise<Report> {
  const serviceVm = new ServiceVm(new KvmHypervisor());
  try {
    const image = await readFile(guestImage('smp'));
    const dsdt = await readFile(acpiDsdt());
    const vm = await serviceVm.createUserVm({
      memoryMiB: 4,
      image: { image, dsdt, ...(cmdline === undefined ? {} : { cmdline }) },
    });
    let text = '';
    const pc = standardPc(vm, { console: { write: (bytes) => (text += Buffer.from(bytes).toString('latin1')) } });
    if (atPorts !== undefined) vm.attach(ports(0x600, 0x80), atPorts);
    if (inMemory !== undefined) vm.attach(mmio(0xd000_0000, 0x80), inMemory);
    await vm.start();
    const end = await vm.ended;
    assert.equal(end.reason, 'power-off', end.message);
    return { text, exitCode: pc.debugExit.exitCode };
  } finally {
    await serviceVm.close();
  }
}

describe('the guest smp', { skip, timeout: 8 * LIMIT_MS }, () => {
  const HEAD = 'smp: 1 processor, 1 round in real mode and in 64-bit mode\r\n';
  const NO_PORTS = 'smp: ports: no device at 0x600\r\n';
  const NO_MEMORY = 'smp: memory: no device at 0xd0000000\r\n';
  const result = (where: string, total: number): string =>
    `smp: ${where}: ${total} of 2 writes, out of order 0: ${total === 2 ? 'exact' : 'WRONG'}\r\n`;

  test('names each device that is absent, which is no failure', async () => {
    assert.deepEqual(await report('1'), { text: `${HEAD}${NO_PORTS}${NO_MEMORY}`, exitCode: undefined });
    const [atPorts, inMemory] = [await report('1', counter(1)), await report(' 1 ', undefined, counter(1))];
    assert.deepEqual(atPorts, { text: `${HEAD}${result('ports', 2)}${NO_MEMORY}`, exitCode: undefined });
    assert.deepEqual(inMemory, { text: `${HEAD}${NO_PORTS}${result('memory', 2)}`, exitCode: undefined });
  });

  test('fails if a count is wrong, at ports and in memory', async () => {
    for (const [first, second] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const { text, exitCode } = await report('1', counter(first), counter(second));
      assert.equal(text, `${HEAD}${result('ports', 2 * first)}${result('memory', 2 * second)}`);
      assert.equal(exitCode, 1);
    }
  });

  test('makes 100 rounds without a command line', async () => {
    for (const cmdline of [undefined, '', ' '])
      assert.match((await report(cmdline)).text, /^smp: 1 processor, 100 rounds in/);
  });

  for (const cmdline of ['many', '5x', '5 x', '-1', '0', '100000001', '99999999999999999999'])
    test(`refuses the command line ${cmdline}`, async () => {
      const text = 'smp: the command line is not a number of rounds from 1 to 100000000\r\n';
      assert.deepEqual(await report(cmdline), { text, exitCode: 1 });
    });
});
