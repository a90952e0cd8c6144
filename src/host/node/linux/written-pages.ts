/**
 * WrittenPages: which pages of shared memory another process has written since they were last asked
 * for. The system marks them: a page is write-protected until its first store, which lifts the
 * protection without a message (asynchronous write protection of userfaultfd).
 *
 * Called by: acrn-programs/written-memory.ts, and the self-test in acrn-programs/support.ts.
 * acrn-programs/carried-mappings.ts uses USERFAULTFD_FLAGS.
 * Callers must: make the process execute userfaultfd(2) with USERFAULTFD_FLAGS, and copy that
 * descriptor. It belongs to the process's memory, in whatever process it is open.
 *
 * It reports stores through the process's own mapping, also those of the system on its behalf
 * (read(2) into the memory), and none of other processes. A page that was never written counts as
 * written the first time that it is read.
 *
 * Sources: userfaultfd(2), ioctl_userfaultfd(2), PAGEMAP_SCAN in linux/fs.h. Linux 6.7.
 */

import { closeSync, openSync } from 'node:fs';
import { closeDescriptor } from './descriptors.js';
import { requireLibc, type Libc, type NativeFunction } from './libc.js';

const O_CLOEXEC = 0o200_0000;
const O_NONBLOCK = 0o4000;
const UFFD_USER_MODE_ONLY = 1;
/** For an ordinary user's process, too. */
export const USERFAULTFD_FLAGS = O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY;

const UFFD_API = 0xaan;
const UFFDIO_API = 0xc018_aa3f;
const UFFDIO_REGISTER = 0xc020_aa00;
const UFFDIO_UNREGISTER = 0x8010_aa01;
const REGISTER_MODE_WP = 2n;
/** Write protection of shared memory, and without messages. */
const FEATURE_WP_HUGETLBFS_SHMEM = 1n << 12n;
const FEATURE_WP_ASYNC = 1n << 15n;

const PAGEMAP_SCAN = 0xc060_6610;
const SCAN_ARGUMENT_WORDS = 12;
/** Protects what it finds, and fails where there is no asynchronous write protection. */
const PM_SCAN_FLAGS = 3n;
const PAGE_IS_WRITTEN = 2n;
/** Regions that one scan returns. Each is three words: start, end, categories. */
const MAX_REGIONS = 512;
const REGION_WORDS = 3;

// Indices of words in struct pm_scan_arg.
const SIZE = 0;
const FLAGS = 1;
const START = 2;
const END = 3;
const WALK_END = 4;
const VECTOR = 5;
const VECTOR_LENGTH = 6;
const CATEGORY_MASK = 9;
const RETURN_MASK = 11;

export class WrittenPages {
  readonly #libc: Libc;
  readonly #ioctl: NativeFunction;
  readonly #userfault: number;
  readonly #pagemap: number;
  readonly #argument = new BigUint64Array(SCAN_ARGUMENT_WORDS);
  readonly #regions = new BigUint64Array(MAX_REGIONS * REGION_WORDS);

  /**
   * `userfault`: a copy of the process's descriptor, which this object closes. Throws if the system
   * lacks what is needed or the process has ended, and closes the descriptor then, too.
   */
  constructor(pid: number, userfault: number) {
    this.#libc = requireLibc();
    this.#ioctl = this.#libc.func('int ioctl(int fd, ulong code, void *argument)');
    this.#userfault = userfault;
    try {
      // struct uffdio_api: api, features, ioctls.
      this.#expect(userfault, UFFDIO_API, [UFFD_API, FEATURE_WP_HUGETLBFS_SHMEM | FEATURE_WP_ASYNC, 0n]);
      this.#pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
    } catch (error) {
      closeDescriptor(userfault);
      throw error;
    }
    this.#argument[SIZE] = BigInt(this.#argument.byteLength);
    this.#argument[FLAGS] = PM_SCAN_FLAGS;
    this.#argument[VECTOR] = this.#libc.address(this.#regions);
    this.#argument[VECTOR_LENGTH] = BigInt(MAX_REGIONS);
    this.#argument[CATEGORY_MASK] = PAGE_IS_WRITTEN;
    this.#argument[RETURN_MASK] = PAGE_IS_WRITTEN;
  }

  /** From now on stores to the range are noticed. Throws with errno. */
  add(address: bigint, bytes: number): void {
    // struct uffdio_register: start, length, mode, ioctls.
    this.#expect(this.#userfault, UFFDIO_REGISTER, [address, BigInt(bytes), REGISTER_MODE_WP, 0n]);
  }

  /**
   * Stores to the range are not noticed any more, and cost the process no page faults. Fails
   * silently for a range that is not mapped any more.
   */
  remove(address: bigint, bytes: number): void {
    // struct uffdio_range: start, length.
    this.#ioctl(this.#userfault, UFFDIO_UNREGISTER, new BigUint64Array([address, BigInt(bytes)]));
  }

  /**
   * Calls `onWritten` with the offset and length of each region of a range that was written since
   * the last scan. The first scan also reports pages that were written before `add`. A range that
   * is not mapped any more has no such regions. Returns false if the process has ended, or if
   * another mapping is there now, whose stores are not noticed.
   */
  scan(address: bigint, bytes: number, onWritten: (offset: number, length: number) => void): boolean {
    const end = address + BigInt(bytes);
    for (let start = address; start < end;) {
      this.#argument[START] = start;
      this.#argument[END] = end;
      const count = Number(this.#ioctl(this.#pagemap, PAGEMAP_SCAN, this.#argument));
      if (count < 0) return false;
      for (let i = 0; i < count; i++) {
        const [from = 0n, to = 0n] = this.#regions.subarray(i * REGION_WORDS);
        onWritten(Number(from - address), Number(to - from));
      }
      const next = this.#argument[WALK_END] ?? end;
      if (next <= start) return false;
      start = next;
    }
    return true;
  }

  close(): void {
    closeDescriptor(this.#userfault);
    closeSync(this.#pagemap);
  }

  #expect(fd: number, code: number, words: readonly bigint[]): void {
    if (this.#ioctl(fd, code, new BigUint64Array(words)) !== 0)
      throw new Error(`ioctl 0x${code.toString(16)} failed: errno ${this.#libc.errno()}`);
  }
}
