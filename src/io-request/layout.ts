/**
 * Layout: the byte offsets of `struct acrn_io_request`. Code that reads or writes the shared page
 * takes its offsets only from here.
 *
 * Called by: Slot, SlotRecorder and the live page's decoder for offsets; all others for the types.
 *
 * Source: UAPI header `linux/acrn.h` and ACRN's `acrn_common.h`. All fields are little-endian.
 */

/** Bytes of the shared buffer of one User VM. */
export const PAGE_BYTES = 4096;
/** `ACRN_IO_REQUEST_MAX`: slots in a page, one for each vCPU. */
export const SLOT_COUNT = 16;
/** Bytes of one slot. */
export const SLOT_BYTES = 256;

/**
 * Byte offsets inside a slot. Fields are u32 where nothing else is said. The three request views
 * (port, MMIO, PCI) share 64…91: direction, address or reserved, size, value.
 */
export const SLOT_OFFSET = {
  type: 0,
  /** Not 0: the hypervisor polls for COMPLETE and needs no completion hypercall. */
  completionPolling: 4,
  direction: 64,
  /** u64. In the PCI view these bytes are reserved and keep the port of the access. */
  address: 72,
  /** u64: 1, 2, 4 or, for MMIO, 8. */
  size: 80,
  /** u32 for ports and PCI, u64 for MMIO. */
  value: 88,
  /** PCI view only. Overlaps the upper half of an MMIO value. */
  pciBus: 92,
  pciDevice: 96,
  pciFunction: 100,
  pciRegister: 104,
  /** 1: a client claimed the request by its ranges. 0: it is the default client's. */
  kernelHandled: 132,
  /** `processed`: the state word. */
  state: 136,
} as const;

/** `ACRN_IOREQ_TYPE_*`. */
export const IoRequestType = { PORT: 0, MMIO: 1, PCI: 2, WRITE_PROTECT: 3 } as const;
export type IoRequestType = (typeof IoRequestType)[keyof typeof IoRequestType];

/** `ACRN_IOREQ_DIR_*`. */
export const Direction = { READ: 0, WRITE: 1 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];
