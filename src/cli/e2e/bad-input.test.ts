/**
 * Invalid input: each case ends with status 2 and one line with a remedy, and prints nothing else.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FOREIGN_FILES } from '../../hypervisor/boot/fixtures/foreign-images.js';
import { upcall } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-bad-input-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, contents: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

const device = file('device.mjs', 'export default { read: 1 };');
const works = file('works.mjs', 'export default class { name = "works"; read() { return 1; } write() {} }');
const throws = file('throws.mjs', 'throw new Error("first line\\nsecond line");');
const syntax = file('syntax.mjs', 'export default class {');
const unnamed = file(
  'unnamed.mjs',
  'export default class { get name() { throw new Error("unnamed"); } read() {} write() {} }',
);
const fails = file(
  'fails.mjs',
  'export default class { constructor() { throw new Error("no disk"); } read() {} write() {} }',
);
const noVm = file(
  'no-vm.mjs',
  'export default { name: "no-vm", available: async () => ({ available: true, detail: "" }), async createVm() {} };',
);
const big = file('big.bin', new Uint8Array(3 * 1024 * 1024));
const empty = file('empty.bin', '');

/** A multiboot header whose load addresses contradict each other. */
const malformed = file('malformed.bin', multiboot({ loadAddress: 0x20_0000, headerAddress: 0x10_0000 }));

function multiboot({ loadAddress, headerAddress }: { loadAddress: number; headerAddress: number }): Uint8Array {
  const flags = 0x1_0000;
  const words = [0x1bad_b002, flags, -(0x1bad_b002 + flags), headerAddress, loadAddress, 0, 0, loadAddress];
  return new Uint8Array(Int32Array.from(words).buffer);
}

/** Some of the table that the loaders' tests go through. */
const foreign = FOREIGN_FILES.filter(({ name }) =>
  ['a 64-bit ELF', 'a Multiboot 2 kernel', 'a script', 'a text file', 'an ISO image'].includes(name),
).map(({ name, bytes, message }): readonly [string, readonly string[], RegExp] => [
  name,
  ['run', file(name, bytes)],
  new RegExp(message.source.slice(1)),
]);

const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
  [
    'a missing image',
    ['run', 'no-such-image'],
    /cannot read no-such-image .*Give monitor, hello, smp, debian, or the path/,
  ],
  ['an empty image', ['run', empty], /empty/],
  ['a malformed image', ['run', malformed], /\. [A-Z]/],
  ['a folder as image', ['run', folder], /cannot read .*EISDIR.*Give /],
  ['an image larger than memory', ['run', big, '--kind', 'flat-32', '--memory', '2'], /Give --memory \d+ or more/],
  ['no memory', ['run', '--memory', '0'], /--memory 0: expected whole MiB from 1 to 2048/],
  ['more memory than a VM can have', ['run', '--memory', '4G'], /--memory 4G: expected whole MiB from 1 to 2048/],
  ...foreign,
  ['a missing module', ['run', '--module', 'no-such-module'], /cannot read no-such-module/],
  ['a module without a file', ['run', '--module', ',text'], /--module ,text: the file is missing. Write FILE/],
  ['a module for a flat image', ['run', 'hello', '--module', works], /modules are for multiboot kernels.*real/],
  ['a RAM disk for a flat image', ['run', 'hello', '--initrd', works], /takes no initial RAM disk.*Leave out --initrd/],
  ['an overlay that is not a folder', ['run', 'debian', '--overlay', works], /--overlay .* is not a folder/],
  ['an overlay for another guest', ['run', 'hello', '--overlay', '.'], /only debian takes --overlay/],
  ['an overlay and an initrd', ['run', 'debian', '--overlay', '.', '--initrd', works], /exclude each other/],
  ['no kernel module for debian', ['run', 'debian', '--module', works], /debian takes kernel modules.*\.ko file/],
  ['an unknown network', ['run', '--net', 'slirp'], /--net slirp: unknown network "slirp"\. Write passt or hub:NAME/],
  [
    'a file of packets that cannot be written',
    ['run', '--net', `hub:x,pcap=${folder}`],
    /cannot write .*EISDIR.*pcap=/,
  ],
  ['a missing RAM disk', ['run', '--initrd', 'no-such-initrd'], /cannot read no-such-initrd/],
  ['hsm without a program', ['hsm'], /there is no program to run\. Give it after --/],
  ['hsm without --', ['hsm', 'true', '-m', '1'], /-- is missing before the program true\. Write: upcall hsm/],
  ['a program for --serve', ['hsm', '--serve', 'x', '--', 'true'], /--serve starts no program\. Start it in another/],
  ['an option of the server', ['hsm', '--connect', 'x', '--stats', '--', 'true'], /--stats is an option of the server/],
  ['a trace without a format', ['hsm', '--trace', 't', '--', 'true'], /its name says no format\. End it with \.jsonl/],
  ['an unknown signal', ['hsm', '--halt-signal', 'X', '--', 'true'], /--halt-signal X: there is no such signal/],
  ['an image without a name', ['run', '--kernel', ''], /the file name is empty\. Give monitor/],
  ['a command line for a flat image', ['run', 'hello', '--cmdline', 'x'], /takes no command line.*Leave out --cmdline/],
  ['two guests', ['run', 'hello', '--kernel', big], /two guests are given.*Leave out one/],
  ['a tour of a guest that has none', ['run', 'hello', '--tour'], /Leave out --tour/],
  ['a tour with a command line', ['run', '--tour', '--cmdline', 'help'], /Leave out --tour/],
  ['a tour of debian', ['run', 'debian', '--tour'], /Leave out --tour/],
  ['shell commands for a guest without a shell', ['run', '--run', 'ls'], /only debian takes --run/],
  ['an unknown kind', ['run', '--kind', 'exe'], /Allowed choices are real, flat-32, multiboot, linux, elf, pvh, bios/],
  ['an unknown hypervisor', ['run', '--hypervisor', 'xen'], /Give one of v86/],
  ['a hypervisor that runs no guest', ['run', '--hypervisor', 'scripted'], /Use --hypervisor v86/],
  [
    'a missing hypervisor module',
    ['run', '--hypervisor', './no-such.js'],
    /there is no hypervisor module \.\/no-such\.js\. Check the path/,
  ],
  [
    'a device module as a hypervisor',
    ['run', '--hypervisor', works],
    /hypervisor without available\(\)|without a name/,
  ],
  [
    'a hypervisor module that cannot create a VM',
    ['run', 'hello', '--hypervisor', noVm],
    /hypervisor module .*no-vm\.mjs: createVm\(\) resolved to undefined\. Resolve to/,
  ],
  ['a missing module for doctor', ['doctor', './no-such.js'], /there is no hypervisor module/],
  ['an invalid range', ['run', '--device', `${works}@here`], /invalid range "here"\. Write FILE@RANGE/],
  ['a range beyond the ports', ['run', '--device', `${works}@0xffff+2`], /Ports are 0 to 0xffff/],
  ['a missing device module', ['run', '--device', 'no-such.js@0x500'], /--device no-such\.js: no such file/],
  ['a module without a device', ['run', '--device', `${device}@0x500`], /exports no device.*Export as default a class/],
  ['a module that throws', ['run', '--device', `${throws}@0x500`], /first line second line.*loads by itself/],
  ['a module with a syntax error', ['run', '--device', `${syntax}@0x500`], /\(at .*syntax\.mjs:\d+\)/],
  ['a device without a readable name', ['run', '--device', `${unnamed}@0x500`], /unnamed \(at .*unnamed\.mjs:1:\d+\)/],
  ['a folder as device', ['run', '--device', `${folder}@0x500`], /: a folder\. Check the path/],
  ['a device that cannot be created', ['run', '--device', `${fails}@0x500`], /no disk/],
  ['the same in a thread', ['run', '--device', `${fails}@0x500,thread`], /no disk/],
  [
    'a device over a standard one',
    ['run', '--device', `${works}@0x3f8`],
    /works at ports .* overlaps uart16550 .*elsewhere/,
  ],
  [
    'two devices at one port',
    ['run', '--device', `${works}@0x500+4`, '--device', `${works}@0x503`],
    /overlaps works at ports 0x500…0x503/,
  ],
  [
    'a device in guest memory',
    ['run', '--device', `${works}@mmio:0x100000+0x1000`],
    /Choose an address above 0x4000000/,
  ],
  ['an invalid timeout', ['run', '--timeout', 'soon'], /--timeout soon: expected seconds above 0/],
  ['an invalid spin time', ['run', '--spin', '-1'], /--spin -1: expected whole microseconds from 0 to 10000/],
  ['the former name of --spin', ['run', '--look', '50'], /--look was renamed to --spin\. Write --spin 50/],
  [
    'an unknown option',
    ['run', '--memry', '64'],
    /unknown option '--memry' \(Did you mean --memory\?\)\. Try upcall run --help$/,
  ],
  ['an unknown command', ['runn'], /unknown command 'runn' \(Did you mean run\?\)\. Try upcall --help$/],
  ['an option without its value', ['run', '--memory'], /argument missing\. Try upcall run --help$/],
  ['a command without its argument', ['compare'], /missing required argument 'device'\. Try upcall compare --help$/],
];

for (const [name, args, line] of cases) {
  test(`${name} is refused in one line`, async () => {
    const { status, stdout, stderr } = await upcall(args);
    assert.equal(status, 2, stderr);
    assert.match(stderr.trimEnd(), /^upcall: [^\n]+$/);
    assert.match(Buffer.from(stderr.trimEnd(), 'latin1').toString('utf8'), line);
    assert.equal(stdout, '');
  });
}

test('doctor does not say that a module runs here whose createVm fails', async () => {
  const { stdout } = await upcall(['doctor', noVm]);
  assert.match(stdout, /no-vm +not usable .*\n.*no-vm\.mjs: createVm\(\) resolved to undefined/);
});

test('with --debug an error has its stack', async () => {
  const { status, stderr } = await upcall(['--debug', 'run', '--memory', '0']);
  assert.equal(status, 2);
  assert.match(stderr, /\n {4}at /);
});
