/**
 * The numbers of 9P2000.L, the protocol of a shared folder, and the limits of its server.
 *
 * Called by: the other files of this folder, except operation.ts and share-card.ts.
 *
 * Sources: the description of 9P2000.L that comes with the server diod (github.com/chaos/diod,
 * "protocol"), section 5 of Plan 9's manual, and for the values of flags Linux' net/9p headers.
 */

export const VERSION = '9P2000.L';
/** The answer of a server that does not know the client's version. */
export const UNKNOWN_VERSION = 'unknown';

// Limits of one guest.

/** Bytes of a message. Linux' transport offers 500 KiB. */
export const MAX_MESSAGE_BYTES = 512 * 1024;
/** Linux and QEMU refuse less. */
export const MIN_MESSAGE_BYTES = 4096;
/** Requests that are served concurrently. */
export const MAX_REQUESTS = 16;
export const MAX_FIDS = 16_384;
/** Memory for the names in all open directories: about half a million files. */
export const MAX_LISTED_BYTES = 64 * 2 ** 20;
/** Names of one Twalk: MAXWELEM of the protocol. */
export const MAX_WALK_NAMES = 16;

/** The header of each message: size[4] type[1] tag[2], little-endian. */
export const HEADER_BYTES = 7;
export const QID_BYTES = 13;
/** Bytes of Rlerror. A buffer with room for less gets no answer. */
export const ERROR_BYTES = HEADER_BYTES + 4;
/** The tag of Tversion, and of the answer to a message that is shorter than a header. */
export const NO_TAG = 0xffff;
export const NO_FID = 0xffff_ffff;

/** Of requests. An answer has the next number. */
export const RequestType = {
  statfs: 8,
  lopen: 12,
  lcreate: 14,
  symlink: 16,
  mknod: 18,
  rename: 20,
  readlink: 22,
  getattr: 24,
  setattr: 26,
  xattrwalk: 30,
  xattrcreate: 32,
  readdir: 40,
  fsync: 50,
  lock: 52,
  getlock: 54,
  link: 70,
  mkdir: 72,
  renameat: 74,
  unlinkat: 76,
  version: 100,
  auth: 102,
  attach: 104,
  flush: 108,
  walk: 110,
  read: 116,
  write: 118,
  clunk: 120,
  remove: 122,
} as const;
export const ERROR_TYPE = 7;

export const QidType = { directory: 0x80, link: 0x02, file: 0 } as const;

/** Flags of Tlopen and Tlcreate: open(2)'s of Linux on most processors, whatever the host's are. */
export const OpenFlag = {
  accessMask: 3,
  writeOnly: 1,
  readWrite: 2,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
  dataSync: 0o1_0000,
  directory: 0o20_0000,
  sync: 0o400_0000,
} as const;

/** The flag of Tunlinkat for a directory (AT_REMOVEDIR). */
export const REMOVE_DIRECTORY = 0x200;

/** The attributes in Rgetattr, as bits: all that fstat(2) gives. */
export const BASIC_ATTRIBUTES = 0x7ffn;

/** Bits of Tsetattr's `valid`. `…Given`: set the time to that of the message, not to now. */
export const SetAttribute = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  accessed: 0x10,
  modified: 0x20,
  accessedGiven: 0x80,
  modifiedGiven: 0x100,
} as const;

/** The status in Rlock for a lock that is granted. */
export const LOCK_SUCCESS = 0;
/** The type in Rgetlock if no process holds the lock (F_UNLCK). */
export const UNLOCKED = 2;
/** f_type of Rstatfs. */
export const V9FS_MAGIC = 0x0102_1997;
export const MAX_NAME_BYTES = 255;
