/**
 * ListedNames: the names in a directory at one moment, so that positions in it stay valid while
 * files come and go. Node offers no positions in a directory that a program could keep.
 *
 * Called by: directory-operations.ts, and fid-table.ts, which keeps them for each open directory.
 *
 * A NameBudget limits the names that one guest makes the host keep.
 */

import { FolderError, type FolderNode } from '../../../host/shared-folder.js';
import { MAX_LISTED_BYTES } from './protocol.js';

/**
 * Bytes of memory that each name takes besides its own, about: an array's element and an object.
 */
const NAME_COST = 100;

export class NameBudget {
  #left: number;

  constructor(bytes = MAX_LISTED_BYTES) {
    this.#left = bytes;
  }

  get left(): number {
    return this.#left;
  }

  /** Throws ENOMEM if fewer bytes are left. */
  take(bytes: number): void {
    if (bytes > this.#left) throw new FolderError('ENOMEM', 'too many names are listed');
    this.#left -= bytes;
  }

  giveBack(bytes: number): void {
    this.#left += bytes;
  }
}

export class ListedNames {
  readonly #budget: NameBudget;
  readonly #names: Uint8Array[] = [];
  #cost = 0;

  private constructor(budget: NameBudget) {
    this.#budget = budget;
  }

  /**
   * Lists `directory` now. The caller must release the result. Rejects with ENOMEM if the budget
   * does not suffice, and as FolderNode.list does.
   */
  static async of(directory: FolderNode, budget: NameBudget): Promise<ListedNames> {
    const listed = new ListedNames(budget);
    try {
      await directory.list((name) => listed.#add(name));
      return listed;
    } catch (error) {
      listed.release();
      throw error;
    }
  }

  /** Undefined after the last name, and after `release`. */
  at(index: number): Uint8Array | undefined {
    return this.#names[index];
  }

  release(): void {
    this.#budget.giveBack(this.#cost);
    this.#cost = 0;
    this.#names.length = 0;
  }

  #add(name: Uint8Array): void {
    const cost = name.length + NAME_COST;
    this.#budget.take(cost);
    this.#cost += cost;
    this.#names.push(name);
  }
}
