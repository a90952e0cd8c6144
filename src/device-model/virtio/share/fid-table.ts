/**
 * FidTable: the files that a client names by numbers (fids), from Tattach, Twalk and Tlcreate to
 * Tclunk, Tremove or the end of the session.
 *
 * Called by: share-session.ts, which makes one for each Tversion of 9P2000.L, and the operations.
 *
 * A fid may be clunked while an operation uses it. The operation still finishes: nodes and files
 * close only after the calls that use them. A file or a list of names that it then adds to the fid,
 * and a node that it adds to a closed table, is released at once.
 */

import { FolderError, type FolderFile, type FolderNode } from '../../../host/shared-folder.js';
import { NameBudget, type ListedNames } from './listed-names.js';
import { MAX_FIDS } from './protocol.js';

/** A file that the client has found, and perhaps opened. */
export class Fid {
  readonly node: FolderNode;
  #file: FolderFile | undefined;
  #isOpen = false;
  #names: ListedNames | undefined;
  #isClunked = false;

  /** Takes over the caller's reference to `node` (FolderNode.retain), and `file`, which is open. */
  constructor(node: FolderNode, file?: FolderFile) {
    this.node = node;
    this.#file = file;
    this.#isOpen = file !== undefined;
  }

  /** Undefined if the fid is not open as a regular file. */
  get file(): FolderFile | undefined {
    return this.#file;
  }

  /** Whether it is open, as a file or a directory, or being opened. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The names of an open directory at its last listing. Undefined before the first one. */
  get names(): ListedNames | undefined {
    return this.#names;
  }

  /**
   * Runs `open`, which returns the file if it opens a regular one. Rejects with EBUSY if the fid is
   * open or being opened, and as `open` does.
   */
  async open(open: () => Promise<FolderFile | undefined>): Promise<void> {
    if (this.#isOpen) throw new FolderError('EBUSY', 'the fid is open');
    this.#isOpen = true;
    try {
      this.#file = await open();
    } catch (error) {
      this.#isOpen = false;
      throw error;
    }
    if (this.#isClunked) this.#file?.close();
  }

  /** Replaces the listing and releases the one before it. Takes over `names`. */
  listed(names: ListedNames): void {
    this.#names?.release();
    this.#names = names;
    if (this.#isClunked) names.release();
  }

  clunk(): void {
    if (this.#isClunked) return;
    this.#isClunked = true;
    this.#file?.close();
    this.#names?.release();
    this.node.release();
  }
}

export class FidTable {
  /** For the names of all open directories. */
  readonly names = new NameBudget();
  readonly #fids = new Map<number, Fid>();
  #isClosed = false;

  /** Throws EBADF if there is no such fid. */
  get(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) throw new FolderError('EBADF', `there is no fid ${number}`);
    return fid;
  }

  /**
   * Throws EBADF if `number` is a fid or the table is closed, and ENFILE at MAX_FIDS. `add` calls
   * it, too.
   */
  checkFree(number: number): void {
    if (this.#isClosed || this.#fids.has(number)) throw new FolderError('EBADF', `fid ${number} is in use`);
    if (this.#fids.size >= MAX_FIDS) throw new FolderError('ENFILE', 'too many fids');
  }

  /** Takes over the caller's reference to `node`, also if it throws as `checkFree` does. */
  add(number: number, node: FolderNode): void {
    try {
      this.checkFree(number);
    } catch (error) {
      node.release();
      throw error;
    }
    this.#fids.set(number, new Fid(node));
  }

  /**
   * Gives the number of `old` to `fid` and clunks `old`. If `old` no longer has the number, clunks
   * `fid` and throws EBADF.
   */
  replace(number: number, old: Fid, fid: Fid): void {
    const isCurrent = this.#fids.get(number) === old;
    (isCurrent ? old : fid).clunk();
    if (!isCurrent) throw new FolderError('EBADF');
    this.#fids.set(number, fid);
  }

  /** Throws EBADF if there is no such fid. */
  clunk(number: number): void {
    this.get(number).clunk();
    this.#fids.delete(number);
  }

  close(): void {
    this.#isClosed = true;
    for (const fid of this.#fids.values()) fid.clunk();
    this.#fids.clear();
  }
}
