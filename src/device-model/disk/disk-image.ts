/**
 * DiskImage: the contents of a disk, wherever they are stored.
 *
 * Implementations: RawImage, Qcow2Image, and FaultyDisk, which wraps one. Called by: the virtio
 * block device, and an overlay for its base. Callers must keep within the size and give whole
 * sectors. They may call several methods at a time: operations on the same sectors then happen in
 * any order. All promises reject with the host's error, or with one that names the image's file: it
 * was made shorter, or it is full.
 *
 * A write is volatile until a `flush` that began after it was finished is finished too. So it may
 * be lost if the host stops before.
 *
 * Threads: that of the disk's card: the Service VM's, or one of its own (placement/). The work is
 * asynchronous: the host does it beside the event loop.
 */

/** The unit of addresses and sizes. */
export const SECTOR_BYTES = 512;

export interface DiskImage {
  /** In bytes: a multiple of SECTOR_BYTES, at least one sector. */
  readonly size: number;
  /** Whether nothing may be written. */
  readonly isReadOnly: boolean;
  /** Whether `discard` and `writeZeroes` can give storage back. */
  readonly canDeallocate: boolean;
  /** Fills `target` from byte `position` of the disk on. */
  read(position: number, target: Uint8Array): Promise<void>;
  /** `source` must not change until the promise settles. */
  write(position: number, source: Uint8Array): Promise<void>;
  /**
   * Writes `length` bytes of zeros, and gives their storage back if that is possible and
   * `mayDeallocate`.
   */
  writeZeroes(position: number, length: number, mayDeallocate: boolean): Promise<void>;
  /** The bytes are not needed any more. Gives storage back if that is possible. */
  discard(position: number, length: number): Promise<void>;
  /** Resolves when all that was written before is on stable storage. */
  flush(): Promise<void>;
  /** Flushes, and releases files. Called once, when no operation is pending. */
  close(): Promise<void>;
}
