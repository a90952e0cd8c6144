/**
 * The numbers of vfio-user: commands, flags, sizes of structures, and the limits of this server.
 * All fields are little-endian.
 *
 * Called by: the files of this folder, and fuzzing/, which plays a client.
 *
 * Sources: the vfio-user specification, version 0.1; linux/vfio.h.
 */

/** The header: id u16, command u16, size u32, flags u32, errno u32. `size` includes it. */
export const HEADER_BYTES = 16;

export const Command = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  GET_INFO: 4,
  GET_REGION_INFO: 5,
  GET_IRQ_INFO: 7,
  SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  RESET: 13,
} as const;

/** Of the header. The low four bits are the type: 0 a command, 1 a reply. */
export const HeaderFlag = { REPLY: 1, TYPE_MASK: 0xf, NO_REPLY: 0x10, ERROR: 0x20 } as const;

/** The only version so far. */
export const MAJOR_VERSION = 0;
export const MINOR_VERSION = 1;

/** Indices of regions. The BARs are 0 to 5. */
export const Region = { ROM: 6, CONFIG: 7, VGA: 8, COUNT: 9 } as const;
export const CONFIG_BYTES = 256;
export const RegionFlag = { READ: 1, WRITE: 2 } as const;

/** Indices of interrupts. */
export const Irq = { INTX: 0, MSI: 1, MSIX: 2, ERROR: 3, REQUEST: 4, COUNT: 5 } as const;
export const IrqFlag = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4 } as const;
export const IrqSet = {
  DATA_NONE: 1,
  DATA_BOOL: 2,
  DATA_EVENTFD: 4,
  DATA_MASK: 7,
  MASK: 8,
  UNMASK: 16,
  TRIGGER: 32,
  ACTION_MASK: 0x38,
} as const;

export const DeviceFlag = { RESET: 1, PCI: 2 } as const;
export const DmaFlag = { READ: 1, WRITE: 2 } as const;
/** Of DMA_UNMAP. */
export const UnmapFlag = { DIRTY_BITMAP: 1, ALL: 2 } as const;

/** Bytes of the structures that follow the header. */
export const Bytes = {
  VERSION: 4,
  DMA_MAP: 32,
  DMA_UNMAP: 24,
  DEVICE_INFO: 16,
  REGION_INFO: 32,
  IRQ_INFO: 16,
  IRQ_SET: 20,
  /** Of REGION_READ, REGION_WRITE, DMA_READ and DMA_WRITE, before the data. */
  TRANSFER: 16,
} as const;

/** Numbers of errno(3), which a reply has. */
export const Errno = {
  NOENT: 2,
  IO: 5,
  NOMEM: 12,
  EXIST: 17,
  INVALID: 22,
  NOSPACE: 28,
  NOTSUP: 95,
} as const;
export type Errno = (typeof Errno)[keyof typeof Errno];

/**
 * Bytes of data of one message, in both directions: QEMU closes the connection of a server that
 * sends more than it has said to take. An access of many bytes is many requests, so this bounds
 * them, too.
 */
export const MAX_DATA = 0x1_0000;
/** Bytes of a message. */
export const MAX_MESSAGE_BYTES = HEADER_BYTES + Bytes.TRANSFER + MAX_DATA;
/** Descriptors of one message. QEMU sends no more. */
export const MAX_DESCRIPTORS = 16;
/** Regions of guest memory of one client. */
export const MAX_DMA_REGIONS = 1024;
/** Commands that arrived while the server waited for the answer to a DMA. */
export const MAX_QUEUED_COMMANDS = 256;
/** Bytes of the capabilities that a client sends with its version. */
export const MAX_CAPABILITY_BYTES = 4096;
/** How long a card waits for the answer to its DMA. QEMU gives up a register access after 5 s. */
export const DMA_LIMIT_MS = 1000;
