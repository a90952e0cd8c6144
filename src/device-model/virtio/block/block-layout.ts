/**
 * The numbers of the virtio block device: feature bits, request types, status values and the
 * offsets of the configuration.
 *
 * Read by: the other files of this folder.
 *
 * Source: virtio 1.2, sections 5.2.3 to 5.2.6.
 */

export const BLOCK_DEVICE_ID = 2;

export const BlockFeature = {
  SEG_MAX: 2,
  RO: 5,
  BLK_SIZE: 6,
  FLUSH: 9,
  TOPOLOGY: 10,
  CONFIG_WCE: 11,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

export const BlockRequestType = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;

export const BlockStatus = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;
export type BlockStatusValue = (typeof BlockStatus)[keyof typeof BlockStatus];

/** Offsets in the device configuration. */
export const BlockConfig = {
  CAPACITY: 0,
  SEG_MAX: 12,
  BLK_SIZE: 20,
  PHYSICAL_BLOCK_EXPONENT: 24,
  MIN_IO_SIZE: 26,
  WRITEBACK: 32,
  NUM_QUEUES: 34,
  MAX_DISCARD_SECTORS: 36,
  MAX_DISCARD_SEG: 40,
  DISCARD_SECTOR_ALIGNMENT: 44,
  MAX_WRITE_ZEROES_SECTORS: 48,
  MAX_WRITE_ZEROES_SEG: 52,
  WRITE_ZEROES_MAY_UNMAP: 56,
} as const;
export const CONFIG_BYTES = 60;

/** A request's header: type, a reserved word, the first sector. */
export const HEADER_BYTES = 16;
/** A segment of a discard or write-zeroes request: first sector, number of sectors, flags. */
export const SEGMENT_BYTES = 16;
/** Flag of a write-zeroes segment: its storage may be given back. */
export const SEGMENT_UNMAP = 1;
/** The device's ID is at most that long. */
export const ID_BYTES = 20;
