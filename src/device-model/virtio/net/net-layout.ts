/**
 * The numbers of a virtio network device: features, queues, configuration, the header of a packet.
 *
 * Read by: the other files of this folder.
 *
 * Source: virtio 1.2, section 5.1.
 */

export const NETWORK_DEVICE_TYPE = 1;
/** PCI's class of an Ethernet controller. */
export const ETHERNET_CONTROLLER = 0x02_0000;

/** Feature bits: section 5.1.3. */
export const NetFeature = {
  MAC: 5,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_RX_EXTRA: 20,
  CTRL_MAC_ADDR: 23,
} as const;

/** Queues without VIRTIO_NET_F_MQ: section 5.1.2. */
export const NetQueue = { RECEIVE: 0, TRANSMIT: 1, CONTROL: 2 } as const;

/** Offsets in the configuration: section 5.1.4. */
export const NetConfig = { MAC: 0, STATUS: 6, BYTES: 8 } as const;
export const STATUS_LINK_UP = 1;

/** Offsets in the header before each packet, struct virtio_net_hdr: section 5.1.6. */
export const PacketHeader = { FLAGS: 0, GSO_TYPE: 1, NUM_BUFFERS: 10, BYTES: 12 } as const;

/** Commands on the control queue, class and number: section 5.1.6.5. */
export const ControlClass = { RX: 0, MAC: 1 } as const;
export const RxCommand = { PROMISC: 0, ALLMULTI: 1, ALLUNI: 2, NOMULTI: 3, NOUNI: 4, NOBCAST: 5 } as const;
export const MacCommand = { TABLE_SET: 0, ADDR_SET: 1 } as const;
export const ControlAck = { OK: 0, ERR: 1 } as const;
