import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { fetchDebian } from '../debian/fetch-debian.js';
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

test('Debian boots, its own drivers find the devices, and every access is counted', options, async () => {
  const commands = [
    'cat /proc/interrupts',
    'cat /sys/class/rtc/rtc0/name',
    'cat /sys/bus/pci/devices/*/vendor',
    'cat /proc/tty/driver/serial',
    'cat /proc/ioports',
    'exit 3',
  ].join('; ');
  const { status, stdout, stderr } = await upcall(['run', 'debian', '--run', commands, '--stats'], '', {
    limitMs: FETCH_MS,
  });
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
