/**
 * VirtioView: a virtio device as an operator sees it: how far the driver is, the features that it
 * has accepted, and the queues.
 *
 * Made by: VirtioState. Read by: the live page's device panel (dashboard/function-rows.ts), which
 * gets it through virtioViewOf (virtio-pci-card.ts) and vm/vm-inspection.ts.
 * Threads: the Service VM's.
 */

import type { QueueView } from './queue-view.js';

/** A view shows at most this number of queues. `queueCount` is the number of all. */
export const SHOWN_QUEUES = 16;

export interface FeatureView {
  readonly bit: number;
  /** The specification's name, or `bit 60`. */
  readonly name: string;
  readonly isAccepted: boolean;
}

export interface VirtioView {
  /** The device ID: virtio 1.2, section 5. */
  readonly type: number;
  readonly status: number;
  /** The features that the device offers, and others that the driver has set. */
  readonly features: readonly FeatureView[];
  readonly queues: readonly QueueView[];
  readonly queueCount: number;
}

/** Bits of every device: virtio 1.2, section 6. */
const COMMON: Readonly<Record<number, string>> = {
  28: 'INDIRECT_DESC',
  29: 'EVENT_IDX',
  32: 'VERSION_1',
  33: 'ACCESS_PLATFORM',
  34: 'RING_PACKED',
  35: 'IN_ORDER',
  36: 'ORDER_PLATFORM',
  37: 'SR_IOV',
  38: 'NOTIFICATION_DATA',
};

/**
 * Bits by device ID: virtio 1.2, sections 5.1.3 (network), 5.2.3 (block) and 5.3.3 (console); 9P
 * and CTRL_RX_EXTRA: Linux' headers.
 */
const OF_DEVICE: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  1: {
    0: 'CSUM',
    1: 'GUEST_CSUM',
    2: 'CTRL_GUEST_OFFLOADS',
    3: 'MTU',
    5: 'MAC',
    7: 'GUEST_TSO4',
    8: 'GUEST_TSO6',
    9: 'GUEST_ECN',
    10: 'GUEST_UFO',
    11: 'HOST_TSO4',
    12: 'HOST_TSO6',
    13: 'HOST_ECN',
    14: 'HOST_UFO',
    15: 'MRG_RXBUF',
    16: 'STATUS',
    17: 'CTRL_VQ',
    18: 'CTRL_RX',
    19: 'CTRL_VLAN',
    20: 'CTRL_RX_EXTRA',
    21: 'GUEST_ANNOUNCE',
    22: 'MQ',
    23: 'CTRL_MAC_ADDR',
  },
  2: {
    1: 'SIZE_MAX',
    2: 'SEG_MAX',
    4: 'GEOMETRY',
    5: 'RO',
    6: 'BLK_SIZE',
    9: 'FLUSH',
    10: 'TOPOLOGY',
    11: 'CONFIG_WCE',
    12: 'MQ',
    13: 'DISCARD',
    14: 'WRITE_ZEROES',
  },
  3: { 0: 'SIZE', 1: 'MULTIPORT', 2: 'EMERG_WRITE' },
  9: { 0: 'MOUNT_TAG' },
};

/** `accepted`: 32 bits in each word, as the driver has written them. */
export function featureViews(type: number, offered: ReadonlySet<number>, accepted: Uint32Array): FeatureView[] {
  const names = OF_DEVICE[type] ?? {};
  return Array.from({ length: 32 * accepted.length }, (_, bit) => ({
    bit,
    name: COMMON[bit] ?? names[bit] ?? `bit ${bit}`,
    isAccepted: (((accepted[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1,
  })).filter(({ bit, isAccepted }) => isAccepted || offered.has(bit));
}
