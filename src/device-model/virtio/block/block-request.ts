/**
 * parseBlockRequest: what a buffer of the driver asks for, or the status with which it is refused.
 *
 * Called by: BlockSession. A buffer's readable bytes are the header and the data to write, its
 * writable bytes are room for data and, as the last one, the status. Where descriptors begin and
 * end does not matter (virtio 1.2, section 2.7.4).
 *
 * Source: virtio 1.2, section 5.2.6.
 */

import { SECTOR_BYTES } from '../../disk/disk-image.js';
import type { VirtqueueBuffer } from '../virtqueue.js';
import {
  BlockFeature,
  BlockRequestType,
  BlockStatus,
  HEADER_BYTES,
  SEGMENT_BYTES,
  SEGMENT_UNMAP,
  type BlockStatusValue,
} from './block-layout.js';
import { MAX_ZERO_RANGES, MAX_ZERO_SECTORS } from './block-limits.js';

/** A range of bytes on the disk. */
export interface DiskRange {
  readonly position: number;
  readonly length: number;
}

export type BlockRequest =
  | ({ readonly kind: 'read' | 'write' } & DiskRange)
  | { readonly kind: 'flush' }
  | { readonly kind: 'id' }
  | { readonly kind: 'discard'; readonly ranges: readonly DiskRange[] }
  | { readonly kind: 'zero'; readonly ranges: readonly (DiskRange & { readonly mayDeallocate: boolean })[] };

export interface BlockRules {
  /** In bytes. */
  readonly diskSize: number;
  readonly isReadOnly: boolean;
  /** Whether the driver has accepted the feature. */
  has(feature: number): boolean;
}

/** The buffer has at least one writable byte. */
export function parseBlockRequest(buffer: VirtqueueBuffer, rules: BlockRules): BlockRequest | BlockStatusValue {
  const header = new Uint8Array(HEADER_BYTES);
  if (buffer.read(0, header) !== HEADER_BYTES) return BlockStatus.IOERR;
  const view = new DataView(header.buffer);
  const sector = view.getBigUint64(8, true);
  switch (view.getUint32(0, true)) {
    case BlockRequestType.IN:
      return parseTransfer('read', sector, buffer.writableBytes - 1, rules);
    case BlockRequestType.OUT:
      if (rules.isReadOnly) return BlockStatus.IOERR;
      return parseTransfer('write', sector, buffer.readableBytes - HEADER_BYTES, rules);
    case BlockRequestType.FLUSH:
      return rules.has(BlockFeature.FLUSH) ? { kind: 'flush' } : BlockStatus.UNSUPP;
    case BlockRequestType.GET_ID:
      return { kind: 'id' };
    case BlockRequestType.DISCARD:
      return rules.has(BlockFeature.DISCARD) ? parseDiscard(buffer, rules) : BlockStatus.UNSUPP;
    case BlockRequestType.WRITE_ZEROES:
      return rules.has(BlockFeature.WRITE_ZEROES) ? parseWriteZeroes(buffer, rules) : BlockStatus.UNSUPP;
    default:
      return BlockStatus.UNSUPP;
  }
}

function parseTransfer(
  kind: 'read' | 'write',
  sector: bigint,
  length: number,
  rules: BlockRules,
): BlockRequest | BlockStatusValue {
  if (length % SECTOR_BYTES !== 0) return BlockStatus.IOERR;
  const range = rangeOf(sector, length, rules);
  return range === undefined ? BlockStatus.IOERR : { kind, ...range };
}

function parseDiscard(buffer: VirtqueueBuffer, rules: BlockRules): BlockRequest | BlockStatusValue {
  const segments = readSegments(buffer);
  if (segments === undefined) return BlockStatus.IOERR;
  if (segments.some(({ flags }) => flags !== 0)) return BlockStatus.UNSUPP;
  const ranges = rangesOf(segments, rules);
  return ranges === undefined ? BlockStatus.IOERR : { kind: 'discard', ranges };
}

function parseWriteZeroes(buffer: VirtqueueBuffer, rules: BlockRules): BlockRequest | BlockStatusValue {
  const segments = readSegments(buffer);
  if (segments === undefined) return BlockStatus.IOERR;
  if (segments.some(({ flags }) => (flags & ~SEGMENT_UNMAP) !== 0)) return BlockStatus.UNSUPP;
  const ranges = rangesOf(segments, rules);
  if (ranges === undefined) return BlockStatus.IOERR;
  return {
    kind: 'zero',
    ranges: ranges.map((range, index) => ({ ...range, mayDeallocate: segments[index]?.flags === SEGMENT_UNMAP })),
  };
}

interface Segment {
  readonly sector: bigint;
  readonly sectors: number;
  readonly flags: number;
}

/** Undefined if there are no segments, too many, or a part of one. */
function readSegments(buffer: VirtqueueBuffer): readonly Segment[] | undefined {
  const bytes = buffer.readableBytes - HEADER_BYTES;
  const count = bytes / SEGMENT_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > MAX_ZERO_RANGES) return undefined;
  const data = new Uint8Array(bytes);
  if (buffer.read(HEADER_BYTES, data) !== bytes) return undefined;
  const view = new DataView(data.buffer);
  return Array.from({ length: count }, (_, index) => {
    const at = index * SEGMENT_BYTES;
    return {
      sector: view.getBigUint64(at, true),
      sectors: view.getUint32(at + 8, true),
      flags: view.getUint32(at + 12, true),
    };
  });
}

/** Undefined if a segment is too large or not on the disk. */
function rangesOf(segments: readonly Segment[], rules: BlockRules): readonly DiskRange[] | undefined {
  const ranges: DiskRange[] = [];
  for (const { sector, sectors } of segments) {
    const range = sectors > MAX_ZERO_SECTORS ? undefined : rangeOf(sector, sectors * SECTOR_BYTES, rules);
    if (range === undefined) return undefined;
    ranges.push(range);
  }
  return ranges;
}

/** Undefined if it exceeds the disk. */
function rangeOf(sector: bigint, length: number, { diskSize }: BlockRules): DiskRange | undefined {
  // `sector` has 64 bits. Number() rounds only what is far beyond any disk.
  const position = Number(sector) * SECTOR_BYTES;
  return position + length <= diskSize ? { position, length } : undefined;
}
