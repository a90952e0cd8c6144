/**
 * DiskFile: a file that holds a disk, or a part of one, locked against other users.
 *
 * Called by: device-model/disk/, which gets it from `Host.openDiskFile`. Implementation:
 * node/disk-file.ts. Operations are asynchronous. Several may be pending. Those on the same bytes
 * happen in any order.
 */

export interface DiskFile {
  /** As it was opened. */
  readonly name: string;
  /** Absolute, without links. */
  readonly path: string;
  /** The same for each name of the same file. */
  readonly identity: string;
  /** In bytes. Grows with writes beyond the end. */
  readonly size: number;
  readonly isWritable: boolean;
  /**
   * Whether the file is locked against other programs: as a writer against all others, as a reader
   * against writers. False if the host cannot lock. Other users in this process are always refused.
   */
  readonly isLocked: boolean;
  /** Whether `deallocate` may succeed. */
  readonly canDeallocate: boolean;
  /**
   * Fills `target`. Returns how many bytes the file has there. The rest is zeros. Rejects with the
   * host's error.
   */
  read(position: number, target: Uint8Array): Promise<number>;
  /** Writes all of `source`, which must not change until then. Rejects with the host's error. */
  write(position: number, source: Uint8Array): Promise<void>;
  /**
   * Gives storage inside of the file back, which then reads as zeros. Resolves to false, and
   * changes nothing, if the file system cannot. Never rejects.
   */
  deallocate(position: number, length: number): Promise<boolean>;
  /**
   * Resolves when all that was written before is on stable storage. After it has rejected once it
   * always rejects: data is lost.
   */
  sync(): Promise<void>;
  /** Releases the locks. Operations must have ended. */
  close(): Promise<void>;
}

/** `create`: read and write, and a file that is missing is made, empty. */
export type DiskFileAccess = 'read' | 'write' | 'create';

/** The file exists, but cannot hold a disk. */
export class UnfitFileError extends Error {
  override readonly name = 'UnfitFileError';
  readonly reason: 'in-use' | 'not-regular';

  constructor(file: string, reason: UnfitFileError['reason']) {
    super(reason === 'in-use' ? `${file} is in use` : `${file} is not a regular file`);
    this.reason = reason;
  }
}
