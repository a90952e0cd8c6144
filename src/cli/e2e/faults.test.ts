import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { upcall } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-faults-'));
after(() => rmSync(folder, { recursive: true }));

const garbled = ['run', 'hello', '--fault', 'client=uart16550 write p=0.3: flip=0x1', '--fault', 'line=4: lose'];

test('a serial port with flipped bits prints other letters, the same ones with the same seed', async () => {
  const once = await upcall([...garbled, '--fault-seed', '3']);
  const again = await upcall([...garbled, '--fault-seed', '3']);
  const other = await upcall([...garbled, '--fault-seed', '4']);
  assert.deepEqual([once.status, again.status, other.status], [0, 0, 0], once.stderr);
  assert.doesNotMatch(once.stdout, /Hello from the guest/);
  assert.equal(again.stdout, once.stdout);
  assert.notEqual(other.stdout, once.stdout);
  assert.match(once.stderr, /fault injected in uart16550, write port 0x3f8\/1/);
  assert.match(
    once.stderr,
    /Faults \(seed 3\) +matches +injected +first +last\n.*flip=0x1 +\d+ +\d+ .*\n.*line=4: lose +0 +0 +-\n/,
  );
});

test('rules also come from files, and an invalid one is reported with its place', async () => {
  const plan = join(folder, 'plan.txt');
  writeFileSync(plan, '# nothing of the serial port arrives\nport=0x3f8 write: value=0x2e\n');
  const dots = await upcall(['run', 'hello', '--fault-file', plan]);
  assert.match(dots.stdout, /^\.{10,}$/);
  writeFileSync(plan, 'port=0x3f8 write: value\n');
  const wrong = await upcall(['run', 'hello', '--fault-file', plan]);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /^upcall: .*plan\.txt:1:19: "" is not a value\. Write it like value=0x20\n$/);
});

test('a late device is reported with its stack and may keep its request', async () => {
  const module = join(folder, 'silent.mjs');
  writeFileSync(
    module,
    `export default class Silent {
      name = 'silent';
      async read() { return await this.wait(); }
      wait() { return new Promise((resolve) => setTimeout(() => resolve(0x5a), 400)); }
      write() {}
    }`,
  );
  const read = ['run', '--device', `${module}@0x500`, '--cmdline', 'in8 500; poweroff', '--client-timeout', '100'];
  const waited = await upcall([...read, '--late', 'wait', '--late-stacks']);
  assert.equal(waited.status, 0, waited.stderr);
  assert.match(waited.stdout, /5a/i);
  assert.match(waited.stderr, /I\/O client silent has had "read port 0x500\/1" of vCPU 0 for \d+ ms, and keeps it/);
  assert.match(waited.stderr, /Waiting in:\n( +at .*silent\.mjs:\d+:\d+\)\n)+upcall: /);
  const taken = await upcall(read);
  assert.match(taken.stdout, /ff/i);
  assert.match(
    taken.stderr,
    /I\/O client silent took more than 100 ms for .* and was removed; the device.* promise is open\. Add --late-stacks/,
  );
});
