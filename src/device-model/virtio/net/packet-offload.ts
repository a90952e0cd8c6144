/**
 * The offload fields of a packet's header: what the driver of the sending card leaves to do, and
 * what the driver of the receiving one finds in it.
 *
 * Called by: VirtioNet and ReceiveQueue.
 * Source: virtio 1.2, sections 5.1.6.2 and 5.1.6.4.
 *
 * The sender is a guest, and the receiver another one: only what is checked here is handed on, so
 * that the header says nothing else about the frame than the frame itself.
 */

import { ETHERNET_HEADER_BYTES } from '../../network/ethernet.js';
import { TCP_PROTOCOL, type Offload, type TcpSegments } from '../../network/offload.js';
import { GsoType, PacketFlag, PacketHeader } from './net-layout.js';

/**
 * The least TCP data of a segment, as in Linux: a shorter one would make a thousand frames of one
 * packet.
 */
export const MIN_SEGMENT_BYTES = 48;

const ETHER_TYPE = 12;
const VLAN_TYPE = 0x8100;
const VLAN_TAG_BYTES = 4;
const IPV4_TYPE = 0x0800;
const IPV6_TYPE = 0x86dd;
const IPV4_HEADER_BYTES = 20;
const IPV4_PROTOCOL = 9;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
const TCP_DATA_OFFSET = 12;
const TCP_CHECKSUM = 16;

/**
 * What `header` leaves to do with `frame`: undefined if nothing, `malformed` if it cannot be done
 * or was not offered.
 */
export function offloadOf(
  header: Uint8Array<ArrayBuffer>,
  frame: Uint8Array<ArrayBuffer>,
): Offload | undefined | 'malformed' {
  const flags = header[PacketHeader.FLAGS];
  const type = header[PacketHeader.GSO_TYPE];
  if (flags === 0) return type === GsoType.NONE ? undefined : 'malformed';
  const fields = new DataView(header.buffer, header.byteOffset);
  const checksumStart = fields.getUint16(PacketHeader.CSUM_START, true);
  const checksumField = checksumStart + fields.getUint16(PacketHeader.CSUM_OFFSET, true);
  if (flags !== PacketFlag.NEEDS_CSUM || checksumStart < ETHERNET_HEADER_BYTES || checksumField + 2 > frame.length)
    return 'malformed';
  if (type === GsoType.NONE) return { checksumStart, checksumField };
  if (type !== GsoType.TCPV4 && type !== GsoType.TCPV6) return 'malformed';
  const segments = segmentsOf(frame, checksumStart, type === GsoType.TCPV6);
  const dataBytes = fields.getUint16(PacketHeader.GSO_SIZE, true);
  if (segments === undefined || dataBytes < MIN_SEGMENT_BYTES || checksumField !== checksumStart + TCP_CHECKSUM)
    return 'malformed';
  return { checksumStart, checksumField, segments: { ...segments, dataBytes } };
}

/** Undefined unless the frame is TCP over IP of that version, with its TCP header at `tcp`. */
function segmentsOf(
  frame: Uint8Array<ArrayBuffer>,
  tcp: number,
  isIpv6: boolean,
): Omit<TcpSegments, 'dataBytes'> | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (tcp + TCP_HEADER_BYTES > frame.length) return undefined;
  const isTagged = view.getUint16(ETHER_TYPE) === VLAN_TYPE;
  const ipStart = ETHERNET_HEADER_BYTES + (isTagged ? VLAN_TAG_BYTES : 0);
  // Also keeps what is read below within the frame.
  if (tcp < ipStart + (isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES)) return undefined;
  const etherType = view.getUint16(ipStart - 2);
  const version = view.getUint8(ipStart) >> 4;
  if (isIpv6) {
    // Extension headers may lie between the two.
    if (etherType !== IPV6_TYPE || version !== 6) return undefined;
  } else {
    const ipBytes = 4 * (view.getUint8(ipStart) & 0xf);
    const protocol = view.getUint8(ipStart + IPV4_PROTOCOL);
    if (etherType !== IPV4_TYPE || version !== 4 || protocol !== TCP_PROTOCOL || tcp !== ipStart + ipBytes)
      return undefined;
  }
  const tcpBytes = 4 * (view.getUint8(tcp + TCP_DATA_OFFSET) >> 4);
  const headerBytes = tcp + tcpBytes;
  if (tcpBytes < TCP_HEADER_BYTES || headerBytes > frame.length) return undefined;
  return { ipStart, isIpv6, headerBytes };
}

/** Writes the fields of `header` that say what is left to do; all of them are 0 if nothing is. */
export function writeOffload(header: Uint8Array<ArrayBuffer>, offload: Offload | undefined): void {
  header.fill(0, 0, PacketHeader.NUM_BUFFERS);
  if (offload === undefined) return;
  const { checksumStart, checksumField, segments } = offload;
  const fields = new DataView(header.buffer, header.byteOffset);
  header[PacketHeader.FLAGS] = PacketFlag.NEEDS_CSUM;
  fields.setUint16(PacketHeader.CSUM_START, checksumStart, true);
  fields.setUint16(PacketHeader.CSUM_OFFSET, checksumField - checksumStart, true);
  if (segments === undefined) return;
  header[PacketHeader.GSO_TYPE] = segments.isIpv6 ? GsoType.TCPV6 : GsoType.TCPV4;
  fields.setUint16(PacketHeader.HDR_LEN, segments.headerBytes, true);
  fields.setUint16(PacketHeader.GSO_SIZE, segments.dataBytes, true);
}
