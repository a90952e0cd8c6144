/**
 * Errno: the error numbers of the Linux driver. Negative, like an ioctl's result in the kernel.
 *
 * Called by: the HSM and acrn-hsm/, as results; the makers of UpcallErrors that have one.
 */

export const Errno = {
  /** The driver reports a hypercall's bare −1 as this. */
  EPERM: -1,
  ENOENT: -2,
  EBADF: -9,
  ENOMEM: -12,
  EFAULT: -14,
  EBUSY: -16,
  EEXIST: -17,
  ENODEV: -19,
  EINVAL: -22,
  EMFILE: -24,
  ENOTTY: -25,
} as const;
