/**
 * The numbers of the control interface's ioctls. A code holds its direction in bits 31…30 (1: the
 * kernel reads the argument, 2: it writes it), the argument's size in bits 29…16, the driver's
 * letter in bits 15…8 and the call's number in bits 7…0.
 *
 * Source: UAPI header `linux/acrn.h`. Those of ExtensionIoctl: the header of ACRN's own kernel.
 */

/** The driver's letter. */
const MAGIC = 0xa2;
// Directions.
const NONE = 0;
const READS = 1;
const READS_AND_WRITES = 3;

const code = (direction: number, number: number, bytes: number): number =>
  ((direction << 30) | (bytes << 16) | (MAGIC << 8) | number) >>> 0;

export const Ioctl = {
  CREATE_VM: code(READS_AND_WRITES, 0x10, 48),
  DESTROY_VM: code(NONE, 0x11, 0),
  START_VM: code(NONE, 0x12, 0),
  PAUSE_VM: code(NONE, 0x13, 0),
  RESET_VM: code(NONE, 0x15, 0),
  SET_VCPU_REGS: code(READS, 0x16, 296),
  INJECT_MSI: code(READS, 0x23, 16),
  VM_INTR_MONITOR: code(READS, 0x24, 8),
  /** The argument is the value itself: line in the low word, operation in the high one. */
  SET_IRQLINE: code(READS, 0x25, 8),
  NOTIFY_REQUEST_FINISH: code(READS, 0x31, 8),
  CREATE_IOREQ_CLIENT: code(NONE, 0x32, 0),
  ATTACH_IOREQ_CLIENT: code(NONE, 0x33, 0),
  DESTROY_IOREQ_CLIENT: code(NONE, 0x34, 0),
  CLEAR_VM_IOREQ: code(NONE, 0x35, 0),
  SET_MEMSEG: code(READS, 0x41, 32),
  UNSET_MEMSEG: code(READS, 0x42, 32),
  SET_PTDEV_INTR: code(READS, 0x53, 20),
  RESET_PTDEV_INTR: code(READS, 0x54, 20),
  ASSIGN_PCIDEV: code(READS, 0x55, 36),
  DEASSIGN_PCIDEV: code(READS, 0x56, 36),
  ASSIGN_MMIODEV: code(READS, 0x57, 104),
  DEASSIGN_MMIODEV: code(READS, 0x58, 104),
  CREATE_VDEV: code(READS, 0x59, 192),
  DESTROY_VDEV: code(READS, 0x5a, 192),
  PM_GET_CPU_STATE: code(READS_AND_WRITES, 0x60, 8),
  IOEVENTFD: code(READS, 0x70, 32),
  IRQFD: code(READS, 0x71, 24),
} as const;

/** Only in ACRN's own kernel. Mainline Linux does not know them. */
export const ExtensionIoctl = {
  SETUP_ASYNCIO: code(READS, 0x90, 8),
  SETUP_VM_EVENT_RING: code(READS, 0xa0, 8),
  SETUP_VM_EVENT_FD: code(READS, 0xa1, 4),
} as const;
