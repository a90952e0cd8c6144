import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KEPT_MODULES } from '../debian/module-groups.js';
import { whyNoDebian } from './needed-guest.js';
import { MAIN, shellAnswers, start, upcall } from './upcall-process.js';

// The first run fetches a kernel, which may take long.
const FETCH_MS = 240_000;
const options = { timeout: FETCH_MS, skip: await whyNoDebian() };

const card = (name: string): string => fileURLToPath(new URL(`../../../examples/devices/${name}.js`, import.meta.url));

/** The programs that drive the cards from Debian. */
const PROGRAMS = fileURLToPath(new URL('../../../examples/debian', import.meta.url));
const CARDS = ['watchdog:05', 'copier:06', 'screen:07'].map((name) => name.split(':') as [string, string]);

/** Every module that upcall's devices need, loaded without a device. */
const MODULES = KEPT_MODULES.flatMap((name) => ['--module', name]);

const CARD_OUTPUT: readonly (readonly [what: string, expected: RegExp])[] = [
  ['the kernel enumerates the card', /^watchdog 0x1234 0x0d09 0x088000 11 af_flr\r?$/m],
  ['and places its BAR', /^BAR 0x00000000([c-f][0-9a-f]{4}000) 0x00000000[c-f][0-9a-f]{4}fff\r?$/m],
  [
    'the time expires, with memory enabled and the interrupt status set',
    /^expired 0x00000001 00000004 0[23] 00 18 00 /m,
  ],
  ['a write of 1 clears the status', /^cleared 0x00000000\r?$/m],
  ['a function-level reset restores the registers, and the kernel the BAR', /^after reset 0x000003E8\r?$/m],
  ['no DMA without bus mastering', /^refused 0x00000002\r?$/m],
  ['DMA with it', /^copied 0x00000001 (0x(?!0{8})[0-9A-F]{8}) \1\r?$/m],
  ['the message is masked at first', /^pending 0x00000001\r?$/m],
  ['and is sent when its entry is unmasked', /^sent 0x00000000 RES: 1 /m],
  [
    'the screen prints what is written to its memory',
    /^screen of 80 columns at 0x00000000[c-f][0-9a-f]{4}000\r?\nframes \d+\r?$/m,
  ],
];

/** Files over the guest's root: a program, a link to it, and the programs for the cards. */
const overlay = mkdtempSync(join(tmpdir(), 'upcall-overlay-'));
after(() => rmSync(overlay, { recursive: true }));
mkdirSync(join(overlay, 'opt/bin'), { recursive: true });
writeFileSync(join(overlay, 'opt/bin/greet'), '#!/bin/sh\necho overlay $(stat -c %u:%a /opt/bin/greet) $0\n', {
  mode: 0o710,
});
symlinkSync('opt/bin/greet', join(overlay, 'hello'));
cpSync(PROGRAMS, overlay, { recursive: true });

test('Debian boots, its own drivers find the devices, and every access is counted', options, async () => {
  const commands = [
    'cat /proc/interrupts',
    'cat /sys/class/rtc/rtc0/name',
    'cat /sys/bus/pci/devices/*/vendor',
    'cat /proc/tty/driver/serial',
    'cat /proc/ioports',
    'grep MMCONFIG /proc/iomem',
    "echo modules $(cut -d ' ' -f 1 /proc/modules)",
    '/hello',
    ...CARDS.map(([name]) => `sh /${name}.sh ${name}`),
    'exit 3',
  ].join('; ');
  const cards = CARDS.flatMap(([name, device]) => ['--device', `${card(name)}@pci:00:${device}.0`]);
  const { status, stdout, stderr } = await upcall(
    ['run', 'debian', ...cards, ...MODULES, '--overlay', overlay, '--run', commands, '--stats'],
    '',
    {
      limitMs: FETCH_MS,
    },
  );
  assert.equal(status, 1, `${stdout}\n${stderr}`);
  assert.match(stdout, /upcall: commands ended with status 3/);
  assert.match(stderr, /the guest's exit code is 3\n/);
  assert.match(stdout, /Linux|user space reached/);
  assert.match(stdout, /\d+ +IO-APIC +0-edge +timer/);
  assert.match(stdout, /IO-APIC +4-edge +ttyS0/);
  assert.match(stdout, /rtc_cmos/);
  assert.match(stdout, /0x8086/);
  assert.match(stdout, /0: uart:16550A port:000003F8 irq:4/);
  assert.match(stdout, /0040-0043 : timer0/);
  assert.match(stdout, /e0000000-e00fffff : PCI MMCONFIG 0000 \[bus 00-00\]/);
  const loaded = /^modules (.*?)\r?$/m.exec(stdout)?.[1]?.split(' ') ?? [];
  assert.match(stderr, /^ 0: screen\r?$/m);
  for (const name of KEPT_MODULES) assert.ok(loaded.includes(name), `${name} is not among ${loaded.join(' ')}`);
  assert.match(stdout, /^overlay 0:710 \/hello\r?$/m);
  for (const [what, expected] of CARD_OUTPUT) assert.match(stdout, expected, what);
  const counts = /(\d+) accesses trapped = (\d+) answered by the hypervisor \+ (\d+) I\/O requests\n/.exec(stderr);
  assert.ok(counts !== null, stderr);
  const [trapped = 0, answered = 0, requests = 0] = counts.slice(1).map(Number);
  assert.ok(requests > 500, `${requests} requests`);
  assert.equal(trapped, answered + requests);
});

test("Debian's shell answers what is typed, and its end powers the machine off", options, async () => {
  const session = start(process.execPath, [MAIN, 'run', 'debian'], { limitMs: FETCH_MS });
  await shellAnswers(session, '# ', 'echo the answer is $((6 * 7))', 'the answer is 42');
});
