/** Errno: the numbers that Linux' driver answers with, negative as the result of an ioctl is inside the kernel. */

export const Errno = {
  /** The driver reports a hypercall's bare −1 as this. */
  EPERM: -1,
  EBADF: -9,
  ENOMEM: -12,
  EFAULT: -14,
  EBUSY: -16,
  EEXIST: -17,
  ENODEV: -19,
  EINVAL: -22,
  ENOTTY: -25,
} as const;
