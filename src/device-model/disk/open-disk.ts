/**
 * openDisk: opens the files of a disk and makes a DiskImage of them.
 *
 * Called by: openDiskCard (virtio/block/disk-card.ts), and programs. Rejects with UpcallError:
 * DISK_UNAVAILABLE for files that cannot be opened now, and DISK_INVALID for those that are not a
 * disk.
 *
 * The format is never guessed from the contents. A guest can write a header into a raw disk, and
 * would choose with it what the next run does with the file.
 */

import { UnfitFileError, type DiskFile, type DiskFileAccess } from '../../host/disk-file.js';
import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { SECTOR_BYTES, type DiskImage } from './disk-image.js';
import { createQcow2 } from './qcow2/create-qcow2.js';
import { openQcow2, readHeader } from './qcow2/open-qcow2.js';
import { invalidImage, type Backing } from './qcow2/qcow2-header.js';
import { QCOW2_MAGIC } from './qcow2/qcow2-layout.js';
import { RawImage } from './raw-image.js';

export const DISK_FORMATS = ['raw', 'qcow2'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

export interface DiskOptions {
  readonly file: string;
  /** Of `file`. Default: raw, but a file that begins as a qcow2 image is then refused. */
  readonly format?: DiskFormat;
  /**
   * A qcow2 image that gets all writes. `file` then stays as it is. Created if it does not exist or
   * is empty. Default: `file` is written itself.
   */
  readonly overlay?: string;
  /** Default: false. */
  readonly isReadOnly?: boolean;
}

export interface OpenedDisk {
  readonly image: DiskImage;
  /** Files that the host could not lock against other programs. */
  readonly unlocked: readonly string[];
}

export async function openDisk(options: DiskOptions): Promise<OpenedDisk> {
  const files: DiskFile[] = [];
  const open = async (file: string, access: DiskFileAccess): Promise<DiskFile> => {
    const opened = await openFile(file, access);
    files.push(opened);
    return opened;
  };
  const { file, format = 'raw', overlay, isReadOnly = false } = options;
  try {
    const base = await open(file, overlay !== undefined || isReadOnly ? 'read' : 'write');
    if (options.format === undefined) await refuseQcow2(base);
    const plain = format === 'raw' ? rawImage(base) : await qcow2Image(base);
    const image =
      overlay === undefined
        ? plain
        : await overlayImage(await open(overlay, isReadOnly ? 'read' : 'create'), { file: base, image: plain, format });
    return { image, unlocked: files.filter(({ isLocked }) => !isLocked).map(({ name }) => name) };
  } catch (error) {
    for (const opened of files) await opened.close();
    // Otherwise it is the host's error while a header or tables were read, or the overlay was
    // created.
    throw error instanceof UpcallError ? error : describeFailure(overlay ?? file, 'write', error);
  }
}

/** An image that stands alone. */
async function qcow2Image(file: DiskFile): Promise<DiskImage> {
  const header = await readHeader(file);
  if (header.backing !== undefined)
    throw invalidImage(
      file.name,
      `is an overlay over ${header.backing.name}`,
      `Name both: --disk ${header.backing.name},overlay=${file.name}`,
    );
  return openQcow2(file, header, undefined);
}

/** What lies below an overlay: the file of `DiskOptions`, opened. */
interface Base {
  readonly file: DiskFile;
  readonly image: DiskImage;
  readonly format: DiskFormat;
}

async function overlayImage(file: DiskFile, base: Base): Promise<DiskImage> {
  if (file.size === 0 && file.isWritable)
    await createQcow2(file, {
      size: base.image.size,
      backing: { name: backingName(file.path, base.file.path), format: base.format },
    });
  const header = await readHeader(file);
  if (header.backing === undefined)
    throw invalidImage(file.name, 'is not an overlay', `Open it by itself: --disk ${file.name},format=qcow2`);
  await checkBase(file, header.backing, base);
  return openQcow2(file, header, base.image);
}

/** Refuses an overlay that was made over another file than `base.file`, by whatever name. */
async function checkBase(file: DiskFile, { name, format }: Backing, base: Base): Promise<void> {
  const remedy =
    'Name the base that it was made over. If that was moved: ' +
    `qemu-img rebase -u -b ${base.file.path} -F ${base.format} ${file.name}`;
  const problem = `is an overlay over ${name}${format === undefined ? '' : ` (${format})`}`;
  if (format !== undefined && format !== base.format) throw invalidImage(file.name, problem, remedy);
  let recorded: DiskFile;
  try {
    recorded = await host.openDiskFile(name.startsWith('/') ? name : folderOf(file.path) + name, 'read');
  } catch (error) {
    throw invalidImage(file.name, `${problem}, which cannot be opened (${String(error)})`, remedy);
  }
  const { identity } = recorded;
  await recorded.close();
  if (identity !== base.file.identity) throw invalidImage(file.name, `${problem}, not over ${base.file.name}`, remedy);
}

/**
 * The name of the base that the overlay records: without the folder if both are in the same one, so
 * that they can be moved together. QEMU takes a name with a colon for a protocol.
 */
function backingName(overlay: string, base: string): string {
  const folder = folderOf(base);
  const name = base.slice(folder.length);
  return folder === folderOf(overlay) && !name.includes(':') ? name : base;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function rawImage(file: DiskFile): RawImage {
  if (file.size === 0)
    throw new UpcallError('DISK_INVALID', `the disk ${file.name} is an empty file`, {
      remedy: `Give it a size, for example: truncate -s 1G ${file.name}`,
    });
  if (file.size % SECTOR_BYTES !== 0)
    throw new UpcallError('DISK_INVALID', `the disk ${file.name} has ${file.size} bytes, which are not whole sectors`, {
      remedy: `Make it a multiple of ${SECTOR_BYTES} bytes, for example: truncate -s %${SECTOR_BYTES} ${file.name}`,
    });
  return new RawImage(file);
}

async function refuseQcow2(file: DiskFile): Promise<void> {
  const start = new Uint8Array(4);
  await file.read(0, start);
  if (new DataView(start.buffer).getUint32(0) === QCOW2_MAGIC)
    throw new UpcallError('DISK_INVALID', `the disk ${file.name} begins as a qcow2 image`, {
      remedy: 'Append ,format=qcow2 if you made it as one, or ,format=raw if a guest wrote that',
    });
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
      return access === 'create'
        ? unavailable('cannot be made: its folder does not exist', 'Check the path')
        : unavailable('does not exist', `Check the path, or create it, for example: truncate -s 1G ${file}`);
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
        access === 'write' ? 'End the other one, or write an overlay: ,overlay=NEW.qcow2' : 'End the other one',
      );
    default:
      return unavailable(`cannot be opened: ${String(error)}`, 'Check the path and the file system');
  }
}
