import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { UpcallError } from '../../io-request/upcall-error.js';
import { fetchDebian } from '../debian/fetch-debian.js';
import { KEPT_MODULES } from '../debian/module-groups.js';
import { MAIN, start, upcall } from './upcall-process.js';

// The first run fetches a kernel, which may take long.
const FETCH_MS = 240_000;
const options = { timeout: FETCH_MS, ...(await whyNot()) };

/** Without apt or a network this guest is not available, which is the reason for a skip. */
async function whyNot(): Promise<{ skip?: string }> {
  try {
    await fetchDebian({ progress: () => undefined });
    return {};
  } catch (error) {
    if (error instanceof UpcallError) return { skip: error.describe() };
    throw error;
  }
}

const card = (name: string): string => fileURLToPath(new URL(`../../../examples/devices/${name}.js`, import.meta.url));

/** What a shell does with the cards, by their configuration space and their memory. */
const CARDS = [
  'cd /sys/bus/pci/devices/0000:00:05.0',
  'echo watchdog $(cat vendor device class irq reset_method)',
  'echo 1 > enable; read base end x < resource; echo BAR $base $end',
  'devmem $((base + 4)) 32 50; devmem $base 32 1; sleep 1',
  'echo expired $(devmem $((base + 12))) $(hexdump -s 4 -n 4 -C config)',
  'devmem $((base + 12)) 32 1; echo cleared $(devmem $((base + 12)))',
  'devmem $((base + 4)) 32 5; echo 1 > reset; echo after reset $(devmem $((base + 4)))',
  'cd ../0000:00:06.0; (read base x; read t x; echo $base $t) < resource > /t; read base t < /t; echo 1 > enable',
  'devmem $base 32 0xf0000; devmem $((base + 4)) 32 0xe8000; devmem $((base + 8)) 32 16',
  'devmem $((base + 12)) 32 1; echo refused $(devmem $((base + 16)))',
  // Bus mastering, then MSI-X.
  "printf '\\006' | dd of=config bs=1 seek=4; printf '\\200' | dd of=config bs=1 seek=99",
  'devmem $((base + 16)) 32 3; devmem $((base + 12)) 32 1',
  'echo copied $(devmem $((base + 16))) $(devmem 0xf0000) $(devmem 0xe8000)',
  // Vector 0xfd is one that the kernel counts and that has no other effect.
  'devmem $t 32 0xfee00000; devmem $((t + 8)) 32 0xfd; echo pending $(devmem $((t + 2048)))',
  'devmem $((t + 12)) 32 0; echo sent $(devmem $((t + 2048))) $(grep RES: /proc/interrupts)',
];

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
];

/** Files over the guest's root: a program, and a link to it. */
const overlay = mkdtempSync(join(tmpdir(), 'upcall-overlay-'));
after(() => rmSync(overlay, { recursive: true }));
mkdirSync(join(overlay, 'opt/bin'), { recursive: true });
writeFileSync(join(overlay, 'opt/bin/greet'), '#!/bin/sh\necho overlay $(stat -c %u:%a /opt/bin/greet) $0\n', {
  mode: 0o710,
});
symlinkSync('opt/bin/greet', join(overlay, 'hello'));

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
    ...CARDS,
    'exit 3',
  ].join('; ');
  const cards = ['--device', `${card('watchdog')}@pci:00:05.0`, '--device', `${card('copier')}@pci:00:06.0`];
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
  await session.until('# ');
  session.child.stdin.write('echo the answer is $((6 * 7))\n');
  await session.until('the answer is 42');
  session.child.stdin.write('exit\n');
  const { status, stderr } = await session.ended;
  assert.equal(status, 0, stderr);
});
