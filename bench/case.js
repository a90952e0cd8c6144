// @ts-check
/** One measurement, in a process of its own: `node bench/case.js NAME` prints one line of JSON. bench/run.js starts these. */

import { readFile } from 'node:fs/promises';
import { debianCommandLine } from '../dist/cli/debian/command-line.js';
import { fetchDebian } from '../dist/cli/debian/fetch-debian.js';
import { USER_SPACE_REACHED } from '../dist/cli/debian/initramfs.js';
import { acpiDsdt, guestImage, ServiceVm, standardPc, V86Hypervisor } from '../dist/index.js';
import { runDirectly } from './direct-machine.js';

/** Accesses that the guest makes in a timed loop. */
const ACCESSES = Number(process.env['BENCH_ACCESSES'] ?? 200_000);
const MIB = 64;
const DEBIAN_MIB = 128;

/**
 * Runs a guest with its devices behind the page or called directly, until it powers off.
 * @param {'page' | 'direct'} how
 * @param {import('../dist/index.js').GuestImageOptions} image
 * @param {number} memoryMiB
 * @param {(text: string) => void} [see] all console text so far, at each piece
 */
async function run(how, image, memoryMiB, see) {
  let text = '';
  const console = {
    write: (/** @type {Uint8Array} */ bytes) => {
      text += Buffer.from(bytes).toString('latin1');
      see?.(text);
    },
  };
  if (how === 'direct') {
    await runDirectly({ image, memoryMiB, console });
    return text;
  }
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.createUserVm({ image, memoryMiB });
  standardPc(vm, { console });
  await vm.start();
  await vm.ended;
  await serviceVm.close();
  return text;
}

/** @param {'page' | 'direct'} how @param {string} access nanoseconds for each access of a guest's loop, as the guest measures it */
async function guestLoop(how, access) {
  const image = await readFile(guestImage('monitor'));
  // The first loop warms the path up.
  const cmdline = `time ${access} ${ACCESSES}.; time ${access} ${ACCESSES}.; poweroff`;
  const text = await run(how, { image, cmdline }, MIB);
  const [, last] = [...text.matchAll(/(\d+) ns each/g)];
  if (last === undefined) throw new Error(`the guest printed no time:\n${text}`);
  return Number(last[1]);
}

/** @param {'page' | 'direct'} how milliseconds from the start of the process until Debian's user space says so */
async function debianBoot(how) {
  const guest = await fetchDebian({ progress: () => undefined });
  const image = {
    image: await readFile(guest.kernel),
    ...(guest.vmlinux === undefined ? {} : { vmlinux: await readFile(guest.vmlinux) }),
    initrd: await readFile(guest.initrd),
    cmdline: debianCommandLine('upcall.run="true"'),
    dsdt: await readFile(acpiDsdt()),
  };
  let reachedMs = 0;
  await run(how, image, DEBIAN_MIB, (text) => {
    if (reachedMs === 0 && text.includes(USER_SPACE_REACHED)) reachedMs = performance.now();
  });
  if (reachedMs === 0) throw new Error('user space was not reached');
  return reachedMs;
}

/** Milliseconds from the start of the process to the first request served. */
async function firstRequest() {
  const image = await readFile(guestImage('hello'));
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.createUserVm({ image: { image }, memoryMiB: 16 });
  let servedMs = 0;
  standardPc(vm, { console: { write: () => void (servedMs ||= performance.now()) } });
  await vm.start();
  await vm.ended;
  await serviceVm.close();
  return servedMs;
}

/** @type {Record<string, () => Promise<number>>} */
const cases = {
  'guest in, page': () => guestLoop('page', 'in8 3ff'),
  'guest in, direct': () => guestLoop('direct', 'in8 3ff'),
  'guest MMIO read, page': () => guestLoop('page', 'rd32 d0000000'),
  'guest MMIO read, direct': () => guestLoop('direct', 'rd32 d0000000'),
  'Debian boot, page': () => debianBoot('page'),
  'Debian boot, direct': () => debianBoot('direct'),
  'first request': firstRequest,
  'empty process': () => Promise.resolve(performance.now()),
};

const name = process.argv[2] ?? '';
const measure = cases[name];
if (measure === undefined) {
  console.error(`there is no case "${name}"; there are: ${Object.keys(cases).join(' | ')}`);
  process.exit(2);
}
console.log(JSON.stringify({ name, value: await measure() }));
process.exit(0);
