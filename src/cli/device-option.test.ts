import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mmio, ports } from '../hsm/address-range.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../vm/service-vm.js';
import { attachDevice } from './attach-device.js';
import { parseDevice, parseRange } from './device-option.js';

/** Any file that is there. */
const file = fileURLToPath(import.meta.url);
const fixture = fileURLToPath(new URL('../device-model/placement/fixtures/read-counter.js', import.meta.url));

test('a range is one port, start and count, or first and last, in hexadecimal or decimal', () => {
  assert.deepEqual(parseRange('0x500'), ports(0x500, 1));
  assert.deepEqual(parseRange('1280'), ports(0x500, 1));
  assert.deepEqual(parseRange('0x500+4'), ports(0x500, 4));
  assert.deepEqual(parseRange('0x500-0x503'), ports(0x500, 4));
  assert.deepEqual(parseRange('0xffff'), ports(0xffff, 1));
  assert.deepEqual(parseRange('mmio:0xd0000000+0x1000'), mmio(0xd000_0000, 0x1000));
  assert.deepEqual(parseRange('mmio:0xd0000000-0xd0000fff'), mmio(0xd000_0000, 0x1000));
});

test('an invalid range is refused with the reason', () => {
  for (const [text, reason] of [
    ['', /^invalid range /],
    ['x', /^invalid range /],
    ['0x500+', /^invalid range /],
    ['0x500+x', /^invalid range /],
    ['0x500-0x501-0x502', /^invalid range /],
    ['0x500+0', /is empty/],
    ['0x500-0x4ff', /ends before it starts/],
    ['0xffff+2', /exceeds the port space/],
    ['0x10000', /exceeds the port space/],
    ['mmio:', /^invalid range /],
    ['mmio:0x1fffffffffffff+2', /exceeds the address space/],
  ] as const)
    assert.throws(() => parseRange(text), { code: 'RANGE_INVALID', message: reason }, text);
});

test('a device option has a file, a range and words', () => {
  const option = parseDevice(`${file}@0x500+4,thread,start=7,big=0x10,label=a=b`);
  assert.equal(fileURLToPath(option.module), file);
  assert.deepEqual(option.place, ports(0x500, 4));
  assert.equal(option.inOwnThread, true);
  assert.deepEqual(option.options, { start: 7, big: 16, label: 'a=b' });
  assert.equal(parseDevice(`${file}@0x500`).inOwnThread, false);
});

test('a device option without file or range, or with an unknown word, is refused', () => {
  assert.throws(() => parseDevice('x.js'), { code: 'OPTION_INVALID', message: /the range is missing/ });
  assert.throws(() => parseDevice('@0x500'), { code: 'OPTION_INVALID', message: /the file is missing/ });
  assert.throws(() => parseDevice('x.js@'), { code: 'OPTION_INVALID', message: /the range is missing/ });
  assert.throws(() => parseDevice(`${file}@0x500,threads`), { code: 'OPTION_INVALID', message: /"threads"/ });
  assert.throws(() => parseDevice('no-such.js@0x500'), { code: 'DEVICE_MODULE_INVALID' });
});

test('a device module is a file: nothing else is loaded', () => {
  const refused = (file: string, message: RegExp) =>
    assert.throws(() => parseDevice(`${file}@0x500`), { code: 'DEVICE_MODULE_INVALID', message });
  refused('no-such.js', /no-such.js: no such file$/);
  refused('/dev/null/below.js', /no such file$/);
  refused('.', /: a folder$/);
  if (process.platform !== 'win32') refused('/dev/zero', /: not a regular file$/);
});

test('a device may be in the screen memory of a PC, from its first byte to its last', async () => {
  const read = { type: 'mmio', direction: 'read', size: 4 } as const;
  const steps = [0xa_0000, 0xb_fffc].map((address) => ({ ...read, address }));
  const hypervisor = new ScriptedHypervisor([{ steps }]);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  await attachDevice(vm, parseDevice(`${fixture}@mmio:0xa0000-0xbffff,start=7`));
  await vm.start();
  assert.deepEqual((await results)[0]?.values, [7n, 8n]);
  await serviceVm.close();
});

test('a word or name that is given twice is refused, and so is __proto__', () => {
  for (const [words, message] of [
    ['thread,thread', /: thread is given twice$/],
    ['start=1,start=2', /: start is given twice$/],
    ['start=1,thread,start=1', /: start is given twice$/],
    ['__proto__=1', /: an option cannot be named __proto__$/],
  ] as const)
    assert.throws(() => parseDevice(`${file}@0x500,${words}`), { code: 'OPTION_INVALID', message, remedy: /\w/ });
  assert.deepEqual(parseDevice(`${file}@0x500,constructor=1,toString=2`).options, { constructor: 1, toString: 2 });
});

test('a device is created with its options and attached, but not in guest memory', async () => {
  const read = { type: 'port', direction: 'read', address: 0x500, size: 1 } as const;
  const hypervisor = new ScriptedHypervisor([{ steps: [read, read, { ...read, address: 0x600 }] }]);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  await assert.rejects(attachDevice(vm, parseDevice(`${fixture}@mmio:0x1000+4`)), {
    code: 'RANGE_OVERLAP',
    message: /lies in guest memory/,
  });
  for (const partly of ['mmio:0x9ffff+2', 'mmio:0xbffff+2'])
    await assert.rejects(attachDevice(vm, parseDevice(`${fixture}@${partly}`)), { code: 'RANGE_OVERLAP' });
  await attachDevice(vm, parseDevice(`${fixture}@0x500,start=7`));
  await attachDevice(vm, parseDevice(`${fixture}@0x600,thread,start=9`));
  await assert.rejects(attachDevice(vm, parseDevice(`${fixture}@0x500,start=7`)), { code: 'RANGE_OVERLAP' });
  await vm.start();
  assert.deepEqual((await results)[0]?.values, [7n, 8n, 9n]);
  await serviceVm.close();
});

const card = fileURLToPath(new URL('../../examples/devices/watchdog.js', import.meta.url));

test('a card is at pci, free or with an address, and may have a thread of its own', () => {
  assert.deepEqual(parseDevice(`${file}@pci`).place, { address: undefined });
  assert.deepEqual(parseDevice(`${file}@pci:00:05.0,a=1`).place, { address: { bus: 0, device: 5, function: 0 } });
  assert.equal(parseDevice(`${file}@pci,thread`).inOwnThread, true);
  assert.throws(() => parseDevice(`${file}@pci:5`), { code: 'RANGE_INVALID', message: /invalid PCI address "5"/ });
});

test('a card and a device are each refused in the place of the other', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const attached = await attachDevice(vm, parseDevice(`${card}@pci:00:05.0`));
  assert.ok(attached.name === 'watchdog' && attached.isLocal && attached.isAttached);
  assert.equal(vm.pci.read(0, 5, 0, 0, 4), 0x0d09_1234);
  attached.detach();
  assert.equal(attached.isAttached, false);
  assert.equal(vm.pci.read(0, 5, 0, 0, 4), 0xffff_ffff);
  const inThread = await attachDevice(vm, parseDevice(`${card}@pci:00:05.0,thread`));
  assert.ok(inThread.name === 'watchdog' && !inThread.isLocal && inThread.isAttached);
  assert.equal(vm.pci.read(0, 5, 0, 0, 4), 0x0d09_1234);
  await assert.rejects(attachDevice(vm, parseDevice(`${card}@0x500`)), {
    code: 'DEVICE_MODULE_INVALID',
    message: /is a PCI card/,
  });
  await assert.rejects(attachDevice(vm, parseDevice(`${fixture}@pci`)), {
    code: 'DEVICE_MODULE_INVALID',
    message: /the card that it created has no pci/,
  });
  await serviceVm.close();
});
