/**
 * Debian's kernel as a bzImage that is not compressed, in the cache: for `upcall hsm -- acrn-dm`,
 * whose guest otherwise unpacks it, and for other programs that boot a bzImage.
 *
 * Called by: fetchDebian.
 */

import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ImageReader } from '../../hypervisor/boot/image-reader.js';
import { UNPACKED_LAYOUT, unpackedBzImage } from '../../hypervisor/boot/unpacked-bzimage.js';
import { kernelStart } from '../../vm/guest-library.js';
import { exists } from './cache-folder.js';

/**
 * Writes it beside `kernel`, if it is not there, and returns its path. Undefined if that fails,
 * for example in a cache that cannot be written: `upcall run debian` does without it.
 */
export async function writeUnpackedKernel(kernel: string, vmlinux: string): Promise<string | undefined> {
  const path = join(dirname(kernel), `vmlinuz-unpacked-${UNPACKED_LAYOUT}`);
  if (await exists(path)) return path;
  const unfinished = `${path}.${randomUUID()}`;
  try {
    const [bzImage, elf, start] = await Promise.all([kernel, vmlinux, kernelStart()].map((file) => readFile(file)));
    if (bzImage === undefined || elf === undefined || start === undefined) return undefined;
    const image = unpackedBzImage(new ImageReader(kernel, bzImage), new ImageReader(vmlinux, elf), start);
    await writeFile(unfinished, image);
    await rename(unfinished, path);
    return path;
  } catch {
    await rm(unfinished, { force: true }).catch(() => undefined);
    return undefined;
  }
}
