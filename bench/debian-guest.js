// @ts-check
/**
 * Debian as a guest of the benchmarks: on upcall in this process, and on a QEMU without KVM, with
 * the same kernel, initial RAM disk and command line. What is timed lies between two marks that the
 * guest prints.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { product } from './product.js';

const MEMORY_MIB = 128;
const QEMU = 'qemu-system-i386';
export const BEGIN = 'upcall: measured part begins';
export const END = 'upcall: measured part has ended';

/** @typedef {import('../dist/vm/user-vm.js').UserVm} UserVm */
/** @typedef {{ kernel: string, vmlinux: string | undefined, initrd: Buffer, cmdline: string }} Image */

/**
 * `parts`: further archives for the initial RAM disk.
 * @param {string} commands without double quotes
 * @param {readonly import('../dist/cli/debian/module-groups.js').ModuleGroup[]} modules
 * @param {readonly Buffer[]} [parts]
 * @returns {Promise<Image>}
 */
export async function debianImage(commands, modules, parts = []) {
  const { debianCommandLine } = await product('cli/debian/command-line.js');
  const { fetchDebian } = await product('cli/debian/fetch-debian.js');
  const { moduleArchive } = await product('cli/debian/module-archive.js');
  const { ModuleChoice } = await product('cli/debian/module-choice.js');
  const { PackageModules } = await product('cli/debian/package-modules.js');
  const guest = await fetchDebian({ progress: () => undefined });
  const choice = await ModuleChoice.read(new Set(modules), []);
  const archives =
    modules.length === 0 ? [] : [moduleArchive(await choice.inOrder(await PackageModules.open(guest.modules)))];
  return {
    kernel: guest.kernel,
    vmlinux: guest.vmlinux,
    initrd: Buffer.concat([await readFile(guest.initrd), ...archives, ...parts]),
    cmdline: debianCommandLine(`upcall.run="${commands}"`),
  };
}

/** When the marks arrive, and the I/O requests until then. The measured part may be repeated. */
export class Marks {
  #text = '';
  /** Begin and end in turn. @type {{ ms: number, requests: number }[]} */
  #seen = [];

  /**
   * @param {Uint8Array} bytes
   * @param {() => number} requests
   */
  see(bytes, requests) {
    this.#text += Buffer.from(bytes).toString('latin1');
    for (;;) {
      const mark = this.#seen.length % 2 === 0 ? BEGIN : END;
      const at = this.#text.indexOf(mark);
      if (at < 0) break;
      this.#seen.push({ ms: performance.now(), requests: requests() });
      this.#text = this.#text.slice(at + mark.length);
    }
    // The last characters are enough to find a mark that comes in parts.
    this.#text = this.#text.slice(-Math.max(BEGIN.length, END.length));
  }

  /** Time and requests of each repetition. */
  get rounds() {
    return Array.from({ length: Math.floor(this.#seen.length / 2) }, (_, round) => {
      const [begun, ended] = this.#seen.slice(2 * round);
      if (begun === undefined || ended === undefined) throw new Error('a mark without its end');
      return { milliseconds: ended.ms - begun.ms, requests: ended.requests - begun.requests };
    });
  }

  get milliseconds() {
    return this.#first.milliseconds;
  }

  get requests() {
    return this.#first.requests;
  }

  get #first() {
    const [first] = this.rounds;
    if (first === undefined) throw new Error('the guest has not printed its marks');
    return first;
  }
}

/**
 * Runs the guest to its end. `write` gets what it prints on the serial port.
 * `attach` may add cards.
 * @param {Image} image
 * @param {(bytes: Uint8Array, requests: () => number) => void} write
 * @param {(vm: UserVm, requests: () => number) => Promise<void> | void} attach
 */
export async function onUpcall({ kernel, vmlinux, initrd, cmdline }, write, attach) {
  const { acpiDsdt, ServiceVm, standardPc, V86Hypervisor } = await product('index.js');
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.createUserVm({
    image: {
      image: await readFile(kernel),
      ...(vmlinux === undefined ? {} : { vmlinux: await readFile(vmlinux) }),
      initrd,
      cmdline,
      dsdt: await readFile(acpiDsdt()),
      biosTables: true,
    },
    memoryMiB: MEMORY_MIB,
    statistics: true,
  });
  const requests = () => vm.statistics()?.requests ?? 0;
  standardPc(vm, { console: { write: (bytes) => write(bytes, requests) } });
  await attach(vm, requests);
  await vm.start();
  await vm.ended;
  await serviceVm.close();
}

/**
 * Runs the guest on QEMU to its end. Returns the reason if it could not run.
 * @param {Image} image
 * @param {readonly string[]} devices its options, with what is connected to standard output
 * @param {(bytes: Uint8Array) => void} write
 * @returns {Promise<string | undefined>}
 */
export async function onQemu({ kernel, initrd, cmdline }, devices, write) {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-bench-'));
  const file = join(folder, 'initrd');
  await writeFile(file, initrd);
  const machine = ['-accel', 'tcg', '-m', String(MEMORY_MIB), '-display', 'none', '-no-reboot', '-monitor', 'none'];
  const child = spawn(QEMU, [...machine, ...devices, '-kernel', kernel, '-initrd', file, '-append', cmdline], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.stdout.on('data', (/** @type {Buffer} */ bytes) => write(bytes));
  try {
    const [status] = await once(child, 'exit');
    return status === 0 ? undefined : `${QEMU} ended with status ${status}`;
  } catch {
    return `${QEMU} is not installed`;
  } finally {
    await rm(folder, { recursive: true });
  }
}
