// Debian's amd64 kernel with some of its modules, and busybox, for a machine in QEMU: fetched once,
// into the cache of upcall, as `upcall run debian` fetches its guest.

import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOM_MB = 200;
const ARCHITECTURE = 'amd64';

const dist = process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url));
if (!existsSync(join(dist, 'cli/debian'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
/** @type {(file: string) => Promise<any>} A module of the build's folder cli/debian. */
export const load = (file) => import(pathToFileURL(join(dist, 'cli/debian', file)).href);

const { currentKernelPackage, findKernelPackage } = await load('architecture.js');
const { exists, fromCache } = await load('cache-folder.js');
const { readDeb } = await load('deb-file.js');
const { debianCacheDir } = await load('fetch-debian.js');
const { readKernelPackage } = await load('kernel-package.js');
const { openSource } = await load('open-source.js');
const { PackageModules, writeModules } = await load('package-modules.js');

/**
 * @typedef {object} Kernel
 * @property {string} kernel The path of the bzImage.
 * @property {Uint8Array} busybox
 * @property {{ name: string, bytes: Uint8Array }[]} modules With what they need, in the order of loading.
 */

/**
 * `name` is that of the folder in the cache: it changes with the modules.
 * @type {(name: string, modules: string[], progress: (step: string) => void) => Promise<Kernel>}
 */
export function fetchKernel(name, modules, progress) {
  return fromCache(debianCacheDir(), {
    name,
    room: ROOM_MB,
    /** @type {(folder: string) => Promise<Kernel | undefined>} */
    open: async (folder) => {
      if (!(await exists(join(folder, 'busybox')))) return undefined;
      return {
        kernel: join(folder, 'vmlinuz'),
        busybox: await readFile(join(folder, 'busybox')),
        modules: await (await PackageModules.open(join(folder, 'modules'))).inOrder(modules),
      };
    },
    /** @type {(result: string, work: string) => Promise<void>} */
    build: async (result, work) => {
      const { source, problem } = await openSource(work, progress, { architecture: ARCHITECTURE });
      const kernel = await findKernelPackage(source, ARCHITECTURE);
      if (kernel === undefined)
        throw new Error(`no source has ${currentKernelPackage(ARCHITECTURE)}: ${problem || source.remedy}`);
      const [kernelFile, busyboxFile] = await source.download([kernel.name, 'busybox-static']);
      progress('Unpacking the kernel');
      const unpacked = await readKernelPackage(kernelFile, modules);
      const [busybox] = await readDeb(busyboxFile, 'data', (/** @type {string} */ path) => /bin\/busybox$/.test(path));
      if (unpacked.kernel === undefined || busybox === undefined) throw new Error('a package lacks its program');
      await writeFile(join(result, 'vmlinuz'), unpacked.kernel);
      await writeModules(join(result, 'modules'), unpacked);
      await writeFile(join(result, 'busybox'), busybox.content);
    },
  });
}
