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
  CSUM: 0,
  GUEST_CSUM: 1,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_RX_EXTRA: 20,
  CTRL_MAC_ADDR: 23,
} as const;
/** What a sender may leave to the network. Offered where the port takes it. */
export const SEND_OFFLOADS = [NetFeature.CSUM, NetFeature.HOST_TSO4, NetFeature.HOST_TSO6] as const;
/** What a receiver can do without. Only a driver that takes all of it gets any. */
export const RECEIVE_OFFLOADS = [NetFeature.GUEST_CSUM, NetFeature.GUEST_TSO4, NetFeature.GUEST_TSO6] as const;

/** Queues without VIRTIO_NET_F_MQ: section 5.1.2. */
export const NetQueue = { RECEIVE: 0, TRANSMIT: 1, CONTROL: 2 } as const;

/** Offsets in the configuration: section 5.1.4. */
export const NetConfig = { MAC: 0, STATUS: 6, BYTES: 8 } as const;
export const STATUS_LINK_UP = 1;

/** Offsets in the header before each packet, struct virtio_net_hdr: section 5.1.6. */
export const PacketHeader = {
  FLAGS: 0,
  GSO_TYPE: 1,
  HDR_LEN: 2,
  GSO_SIZE: 4,
  CSUM_START: 6,
  CSUM_OFFSET: 8,
  NUM_BUFFERS: 10,
  BYTES: 12,
} as const;
export const PacketFlag = { NEEDS_CSUM: 1 } as const;
export const GsoType = { NONE: 0, TCPV4: 1, TCPV6: 4 } as const;

/** Commands on the control queue, class and number: section 5.1.6.5. */
export const ControlClass = { RX: 0, MAC: 1 } as const;
export const RxCommand = { PROMISC: 0, ALLMULTI: 1, ALLUNI: 2, NOMULTI: 3, NOUNI: 4, NOBCAST: 5 } as const;
export const MacCommand = { TABLE_SET: 0, ADDR_SET: 1 } as const;
export const ControlAck = { OK: 0, ERR: 1 } as const;
