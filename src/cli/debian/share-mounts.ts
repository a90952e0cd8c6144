/**
 * shareMounts: an archive for the kernel, which unpacks it after the initial RAM file system: a
 * table of file systems (fstab) with the folders of `--share`. Init mounts what is in it.
 *
 * Called by: debianGuest.
 */

import { CpioArchive } from './cpio-archive.js';
import { MOUNT_TABLE } from './initramfs.js';

/** Size of a 9P message: the most that Linux' virtio transport takes. Its default is smaller. */
const MESSAGE_BYTES = 512_000;
const OPTIONS = `trans=virtio,version=9p2000.L,msize=${MESSAGE_BYTES},nodev,nosuid`;

/** Each is mounted at `/mnt/TAG`. Without shares, no bytes. */
export function shareMounts(shares: readonly { readonly tag: string; readonly isWritable: boolean }[]): Buffer {
  if (shares.length === 0) return Buffer.alloc(0);
  const archive = new CpioArchive();
  archive.directory('mnt');
  for (const { tag } of shares) archive.directory(`mnt/${tag}`);
  const lines = shares.map(
    ({ tag, isWritable }) => `${tag} /mnt/${tag} 9p ${OPTIONS},${isWritable ? 'rw' : 'ro'} 0 0\n`,
  );
  archive.file(MOUNT_TABLE, lines.join(''));
  return archive.bytes();
}
