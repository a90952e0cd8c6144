/**
 * What a virtio block device offers for its disk: feature bits and the device configuration.
 *
 * Called by: VirtioBlock.
 *
 * Source: virtio 1.2, sections 5.2.3 and 5.2.4.
 */

import { SECTOR_BYTES, type DiskImage } from '../../disk/disk-image.js';
import { BlockConfig, BlockFeature, CONFIG_BYTES } from './block-layout.js';
import { MAX_SEGMENTS, MAX_ZERO_RANGES, MAX_ZERO_SECTORS } from './block-limits.js';

/** Log2 of the sectors in a block of 4 KiB, the host's unit of caching. */
const PHYSICAL_BLOCK_EXPONENT = 3;

export function blockFeatures(image: DiskImage, queues: number): readonly number[] {
  const { SEG_MAX, RO, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE, MQ, DISCARD, WRITE_ZEROES } = BlockFeature;
  return [
    ...[SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY],
    ...(image.isReadOnly ? [RO] : [CONFIG_WCE, WRITE_ZEROES]),
    ...(!image.isReadOnly && image.canDeallocate ? [DISCARD] : []),
    ...(queues > 1 ? [MQ] : []),
  ];
}

/** The configuration as it is after a reset. Fields of features that are not offered are 0. */
export function blockConfig(image: DiskImage, queues: number): Uint8Array {
  const config = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(config.buffer);
  view.setBigUint64(BlockConfig.CAPACITY, BigInt(image.size / SECTOR_BYTES), true);
  view.setUint32(BlockConfig.SEG_MAX, MAX_SEGMENTS, true);
  view.setUint32(BlockConfig.BLK_SIZE, SECTOR_BYTES, true);
  config[BlockConfig.PHYSICAL_BLOCK_EXPONENT] = PHYSICAL_BLOCK_EXPONENT;
  view.setUint16(BlockConfig.MIN_IO_SIZE, 1 << PHYSICAL_BLOCK_EXPONENT, true);
  if (queues > 1) view.setUint16(BlockConfig.NUM_QUEUES, queues, true);
  if (image.isReadOnly) return config;
  // Writes are volatile until a flush.
  config[BlockConfig.WRITEBACK] = 1;
  view.setUint32(BlockConfig.MAX_WRITE_ZEROES_SECTORS, MAX_ZERO_SECTORS, true);
  view.setUint32(BlockConfig.MAX_WRITE_ZEROES_SEG, MAX_ZERO_RANGES, true);
  if (!image.canDeallocate) return config;
  config[BlockConfig.WRITE_ZEROES_MAY_UNMAP] = 1;
  view.setUint32(BlockConfig.MAX_DISCARD_SECTORS, MAX_ZERO_SECTORS, true);
  view.setUint32(BlockConfig.MAX_DISCARD_SEG, MAX_ZERO_RANGES, true);
  view.setUint32(BlockConfig.DISCARD_SECTOR_ALIGNMENT, 1 << PHYSICAL_BLOCK_EXPONENT, true);
  return config;
}
