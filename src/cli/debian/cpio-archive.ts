/**
 * CpioArchive: writes the "newc" form of cpio that Linux unpacks as its initial RAM file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst). The output is reproducible: all
 * times are 0 and root owns every file.
 *
 * Called by: buildInitramfs, and the functions that add archives for one run (`…Archive`,
 * shareMounts).
 */

/** Begins each header of the newc form. */
const MAGIC = '070701';
/** The name of the entry that ends the archive. */
const TRAILER = 'TRAILER!!!';

/** The type bits of a file's mode, as in stat(2). */
const FileType = {
  DIRECTORY: 0o040000,
  CHARACTER_DEVICE: 0o020000,
  REGULAR: 0o100000,
  SYMBOLIC_LINK: 0o120000,
} as const;

export class CpioArchive {
  readonly #parts: Buffer[] = [];
  #inode = 0;

  directory(path: string, permissions = 0o755): this {
    return this.#add(path, FileType.DIRECTORY | permissions, Buffer.alloc(0));
  }

  file(path: string, content: Uint8Array | string, permissions = 0o644): this {
    return this.#add(path, FileType.REGULAR | permissions, Buffer.from(content));
  }

  link(path: string, target: string): this {
    return this.#add(path, FileType.SYMBOLIC_LINK | 0o777, Buffer.from(target));
  }

  characterDevice(path: string, major: number, minor: number, permissions = 0o600): this {
    return this.#add(path, FileType.CHARACTER_DEVICE | permissions, Buffer.alloc(0), major, minor);
  }

  /** The archive with its trailer. Entries may still be added afterwards. */
  bytes(): Buffer {
    return Buffer.concat([...this.#parts, entry(TRAILER, 0, 0, Buffer.alloc(0), 0, 0)]);
  }

  #add(path: string, mode: number, content: Buffer, major = 0, minor = 0): this {
    this.#parts.push(entry(path, ++this.#inode, mode, content, major, minor));
    return this;
  }
}

/**
 * Header and name, then content, each padded to four bytes: an archive may follow another one, for
 * which Linux looks at multiples of four.
 */
function entry(path: string, inode: number, mode: number, content: Buffer, major: number, minor: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  const links = inode === 0 ? 0 : 1;
  const noTime = 0;
  const root = 0;
  const onDevice = 0;
  const noChecksum = 0;
  const fields = [
    inode,
    mode,
    root,
    root,
    links,
    noTime,
    content.length,
    onDevice,
    onDevice,
    major,
    minor,
    name.length,
    noChecksum,
  ];
  const header = MAGIC + fields.map((value) => value.toString(16).padStart(8, '0')).join('');
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header, 'latin1'), name])), padded(content)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
