/**
 * openDisk: opens the files of a disk and makes a DiskImage of them.
 *
 * Called by: the command line's `--disk`, and programs. Throws UpcallError, with DISK_UNAVAILABLE
 * for files that cannot be opened now, and DISK_INVALID for those that are not a disk.
 *
 * The format is never guessed from the contents. A guest can write a header into a raw disk, and
 * would choose with it what the next run does with the file.
 */

import { UnfitFileError, type DiskFile, type DiskFileAccess } from '../../host/disk-file.js';
import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { SECTOR_BYTES, type DiskImage } from './disk-image.js';
import { RawImage } from './raw-image.js';

export interface DiskOptions {
  readonly file: string;
  /** Default: false. */
  readonly isReadOnly?: boolean;
}

export interface OpenedDisk {
  readonly image: DiskImage;
  /** Files that the host could not lock against other programs. */
  readonly unlocked: readonly string[];
}

/** The first bytes of a qcow2 image. */
const QCOW2_MAGIC = 0x5146_49fb;

export async function openDisk({ file, isReadOnly = false }: DiskOptions): Promise<OpenedDisk> {
  const opened = await openFile(file, isReadOnly ? 'read' : 'write');
  try {
    return { image: await rawImage(opened), unlocked: opened.isLocked ? [] : [file] };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function rawImage(file: DiskFile): Promise<RawImage> {
  if (file.size === 0)
    throw new UpcallError('DISK_INVALID', `the disk ${file.name} is an empty file`, {
      remedy: `Give it a size, for example: truncate -s 1G ${file.name}`,
    });
  if (file.size % SECTOR_BYTES !== 0)
    throw new UpcallError('DISK_INVALID', `the disk ${file.name} has ${file.size} bytes, which are not whole sectors`, {
      remedy: `Make it a multiple of ${SECTOR_BYTES} bytes, for example: truncate -s %${SECTOR_BYTES} ${file.name}`,
    });
  const start = new Uint8Array(4);
  await file.read(0, start);
  if (new DataView(start.buffer).getUint32(0) === QCOW2_MAGIC)
    throw new UpcallError('DISK_INVALID', `the disk ${file.name} is a qcow2 image`, {
      remedy: `Convert it: qemu-img convert -O raw ${file.name} NEW`,
    });
  return new RawImage(file);
}

async function openFile(file: string, access: DiskFileAccess): Promise<DiskFile> {
  try {
    return await host.openDiskFile(file, access);
  } catch (error) {
    throw describeFailure(file, access, error);
  }
}

function describeFailure(file: string, access: DiskFileAccess, error: unknown): UpcallError {
  const code = error instanceof UnfitFileError ? error.reason : (error as { readonly code?: unknown }).code;
  const unavailable = (problem: string, remedy: string): UpcallError =>
    new UpcallError('DISK_UNAVAILABLE', `the disk ${file} ${problem}`, { remedy, cause: error });
  switch (code) {
    case 'ENOENT':
      return unavailable('does not exist', `Check the path, or create it, for example: truncate -s 1G ${file}`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return access === 'read'
        ? unavailable('may not be read', 'Check its permissions')
        : unavailable('may not be written', 'Check its permissions, or append ,ro to only read it');
    case 'EISDIR':
    case 'not-regular':
      return new UpcallError('DISK_INVALID', `the disk ${file} is not a regular file`, {
        remedy: 'Give the file of a disk image',
        cause: error,
      });
    case 'in-use':
      return unavailable(
        access === 'read' ? 'is written by another VM or program' : 'is used by another VM or program',
        access === 'read' ? 'End the other one' : 'End the other one, or put an overlay over it: ,overlay=NEW.qcow2',
      );
    default:
      return unavailable(`cannot be opened: ${String(error)}`, 'Check the path');
  }
}
