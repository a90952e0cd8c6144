/**
 * Offloads: what the sender of a frame leaves to the network: a checksum, and the cutting of one
 * long TCP segment into those that fit the cable. Where both ends are cards that can do without, it
 * is not done at all: that saves two guests most of their work.
 *
 * Called by: NetworkHub, for receivers that take complete frames only, and StreamPort. The cards
 * make and read an Offload (virtio/net/packet-offload.ts).
 *
 * Sources: RFC 1071 (checksum), RFC 791 and 8200 (IP), RFC 9293 (TCP), RFC 3168 (CWR).
 */

/** All offsets are in the frame, and have been checked: what they point at lies in the frame. */
export interface Offload {
  /** The checksum covers the bytes from here to the end of the frame. */
  readonly checksumStart: number;
  /** Its 16 bits. They hold the sum of the pseudo header. */
  readonly checksumField: number;
  /** Of a TCP segment that is to be cut. */
  readonly segments?: TcpSegments;
}

export interface TcpSegments {
  /** The IP header, without extensions. */
  readonly ipStart: number;
  readonly isIpv6: boolean;
  /** Up to the end of the TCP header, which begins at `checksumStart`. */
  readonly headerBytes: number;
  /** Bytes of data in each segment but the last, which may be shorter. */
  readonly dataBytes: number;
}

// Offsets in an IPv4 header. The first eight bytes of IPv6's have the length only.
const IPV4_LENGTH = 2;
const IPV4_ID = 4;
const IPV4_CHECKSUM = 10;
const IPV4_ADDRESSES = 12;
const IPV6_LENGTH = 4;
const IPV6_HEADER_BYTES = 40;
// Offsets in a TCP header, and bits of its flags.
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const FIN = 0x01;
const PSH = 0x08;
const CWR = 0x80;

/**
 * Calls `deliver` with each complete frame of an unfinished one, in order. The bytes of `frame` are
 * left alone, those of the others are valid during the call. There are at most
 * `frame.length / dataBytes` frames, rounded up.
 */
export function completeFrame(frame: Uint8Array, offload: Offload, deliver: (frame: Uint8Array) => void): void {
  const { segments } = offload;
  if (segments === undefined) {
    const copy = frame.slice();
    finishChecksum(copy, offload);
    deliver(copy);
    return;
  }
  const { headerBytes, dataBytes } = segments;
  let at = headerBytes;
  // A segment without data is one, too.
  do {
    const data = frame.subarray(at, at + dataBytes);
    const piece = new Uint8Array(headerBytes + data.length);
    piece.set(frame.subarray(0, headerBytes));
    piece.set(data, headerBytes);
    finishSegment(piece, offload, segments, at - headerBytes, at + data.length === frame.length);
    deliver(piece);
    at += dataBytes;
  } while (at < frame.length);
}

/** Corrects the headers of the segment whose data begin at `offset` of the whole. */
function finishSegment(
  piece: Uint8Array<ArrayBuffer>,
  offload: Offload,
  { ipStart, isIpv6, dataBytes }: TcpSegments,
  offset: number,
  isLast: boolean,
): void {
  const view = new DataView(piece.buffer);
  const tcp = offload.checksumStart;
  view.setUint32(tcp + TCP_SEQUENCE, view.getUint32(tcp + TCP_SEQUENCE) + offset);
  let flags = view.getUint8(tcp + TCP_FLAGS);
  if (!isLast) flags &= ~(FIN | PSH);
  if (offset > 0) flags &= ~CWR;
  view.setUint8(tcp + TCP_FLAGS, flags);
  const tcpBytes = piece.length - tcp;
  let pseudo: number;
  if (isIpv6) {
    view.setUint16(ipStart + IPV6_LENGTH, piece.length - ipStart - IPV6_HEADER_BYTES);
    pseudo = sumOf(piece, ipStart + 8, ipStart + IPV6_HEADER_BYTES);
  } else {
    view.setUint16(ipStart + IPV4_LENGTH, piece.length - ipStart);
    view.setUint16(ipStart + IPV4_ID, view.getUint16(ipStart + IPV4_ID) + offset / dataBytes);
    view.setUint16(ipStart + IPV4_CHECKSUM, 0);
    view.setUint16(ipStart + IPV4_CHECKSUM, ~folded(sumOf(piece, ipStart, tcp)));
    pseudo = sumOf(piece, ipStart + IPV4_ADDRESSES, ipStart + IPV4_ADDRESSES + 8);
  }
  view.setUint16(offload.checksumField, folded(pseudo + TCP_PROTOCOL + tcpBytes));
  finishChecksum(piece, offload);
}

/** IP's number of TCP. */
export const TCP_PROTOCOL = 6;

/** The field's own bits are part of the sum. */
function finishChecksum(frame: Uint8Array<ArrayBuffer>, { checksumStart, checksumField }: Offload): void {
  const checksum = ~folded(sumOf(frame, checksumStart, frame.length)) & 0xffff;
  // UDP's 0 means that there is no checksum; 0xffff is the same number.
  new DataView(frame.buffer).setUint16(checksumField, checksum === 0 ? 0xffff : checksum);
}

/** Of big-endian 16-bit words; a last odd byte is the upper one of a word. */
function sumOf(bytes: Uint8Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i + 1 < end; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  return (end - start) % 2 === 0 ? sum : sum + ((bytes[end - 1] as number) << 8);
}

/** The one's complement sum of 16 bits. */
function folded(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
