import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const PROGRAM = `
import { guestImage, inOwnThread, ports, ServiceVm, standardPc, V86Hypervisor } from '../index.js';
const serviceVm = new ServiceVm(new V86Hypervisor());
const vm = await serviceVm.createUserVm({ memoryMiB: 1, image: guestImage('hello') });
standardPc(vm, { console: process.stdout });
const device = new URL('../device-model/placement/fixtures/read-counter.js', import.meta.url);
vm.attach(ports(0x500, 1), inOwnThread(device, { start: 0x2a }));
await vm.start();
console.log((await vm.ended).reason);
await serviceVm.close();
`;

test('a program passed to node --eval can create VMs and devices in threads', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
    cwd: new URL('.', import.meta.url),
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  assert.match(stdout, /^Hello from the guest\s+2a\s+power-off\n$/);
  assert.equal(status, 0);
});
