// Measures how long the guest of a VM on KVM waits while it is saved. It makes one request after
// the other, each after a store to another page, and its device takes the time between them.
//
//   npm run snapshot:pause                               128 MiB and 1 GiB, five saves each
//   npm run snapshot:pause -- --memory 256 --writes 64   one size; the guest writes to 64 MiB of it
//
// All of the RAM has other bytes than zeros, so that all of it is copied.

import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvmHypervisor, ports, ServiceVm } from '../dist/index.js';
import { readOptions } from './script-options.mjs';

const HELP = `snapshot-pause [--memory MIB] [--writes MIB] [--saves N]: how long a guest waits for a save
  --memory MIB   RAM of the VM, can be given several times (default: 128 and 1024)
  --writes MIB   of it, what the guest writes to again and again (default: 1)
  --saves N      number of saves (default: 5)
`;
const MIB = 2 ** 20;
const PORT = 0x500;
/** The guest is at 1 MiB. */
const FIRST = 2 * MIB;

const { values } = readOptions(HELP, {
  options: {
    memory: { type: 'string', multiple: true, default: ['128', '1024'] },
    writes: { type: 'string', default: '1' },
    saves: { type: 'string', default: '5' },
  },
});
const sizes = values.memory.map(Number);
const [writes, saves] = [Number(values.writes), Number(values.saves)];
const areValid = [...sizes, writes, saves].every((value) => Number.isInteger(value) && value > 0);
if (!areValid || sizes.some((size) => size < writes + 2)) {
  process.stderr.write(HELP);
  process.exit(2);
}

/** @type {(value: number) => number[]} */
const word = (value) => [...new Uint8Array(Uint32Array.of(value).buffer)];
/** Flat 32-bit code: stores EAX to one page after the other, each time writes it to the port. */
const GUEST = Uint8Array.from([
  ...[0x66, 0xba, PORT & 0xff, PORT >> 8], // mov dx, PORT
  ...[0xbb, ...word(FIRST)], // mov ebx, FIRST
  ...[0x40, 0x89, 0x03], // again: inc eax; mov [ebx], eax
  ...[0x81, 0xc3, ...word(0x1000)], // add ebx, 4096
  ...[0x81, 0xfb, ...word(FIRST + writes * MIB)], // cmp ebx, its end
  ...[0x72, 0x05, 0xbb, ...word(FIRST)], // jb next; mov ebx, FIRST
  ...[0xef, 0xeb, 0xe7], // next: out dx, eax; jmp again
]);

class Clock {
  name = 'clock';
  longest = 0;
  /** The longest one until the first request after the copy. */
  untilCopied = 0;
  #last = 0;
  #isCopied = false;

  begin() {
    this.longest = this.untilCopied = 0;
    this.#isCopied = false;
    this.#last = performance.now();
  }

  read() {
    return 0;
  }

  write() {
    const now = performance.now();
    this.longest = Math.max(this.longest, now - this.#last);
    if (this.untilCopied === 0 && this.#isCopied) this.untilCopied = this.longest;
    this.#last = now;
  }

  save() {
    this.#isCopied = true;
    return {};
  }

  restore() {}
}

const folder = mkdtempSync(join(tmpdir(), 'upcall-snapshot-pause-'));
try {
  for (const memoryMiB of sizes) {
    const serviceVm = new ServiceVm(new KvmHypervisor());
    const vm = await serviceVm.createUserVm({ memoryMiB, image: { image: GUEST, kind: 'flat-32' } });
    const clock = new Clock();
    vm.attach(ports(PORT, 4), clock);
    vm.memory.fill(0x5a, FIRST);
    await vm.start();
    await new Promise((resolve) => setTimeout(resolve, 500));
    clock.begin();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    console.log(
      `${memoryMiB} MiB, load ${loadavg()[0]?.toFixed(1)}: longest wait ${clock.longest.toFixed(1)} ms in a second without a save`,
    );
    for (let save = 0; save < saves; save++) {
      clock.begin();
      const startMs = performance.now();
      await vm.save(join(folder, 'vm.snap'));
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      console.log(
        `  save ${save + 1}: ${clock.untilCopied.toFixed(1)} ms until it was copied, ${clock.longest.toFixed(1)} ms in all of ${seconds} s`,
      );
    }
    await serviceVm.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
