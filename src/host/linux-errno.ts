/**
 * LinuxErrno: the error numbers of Linux, positive, with which the code of a shared folder itself
 * refuses. Those of the host's calls are passed on as they are: only a Linux host can share a
 * folder.
 *
 * Called by: shared-folder.ts (FolderError), its implementation and its users.
 */

export const LinuxErrno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EFBIG: 27,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ELOOP: 40,
  EPROTO: 71,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ESTALE: 116,
} as const;

export type LinuxErrnoName = keyof typeof LinuxErrno;
