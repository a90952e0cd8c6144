/**
 * The blocks of a pcapng file with one interface: what Wireshark, tshark and tcpdump read.
 *
 * Called by: CaptureFile. All numbers are little-endian.
 *
 * Source: PCAP Next Generation (pcapng) Capture File Format, draft-ietf-opsawg-pcapng, section 4.
 */

const BlockType = { SECTION: 0x0a0d_0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
/** A reader detects the byte order by it. */
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET = 1;
const Option = {
  SECTION_APPLICATION: 4,
  INTERFACE_NAME: 2,
  PACKET_FLAGS: 2,
  STATISTICS_RECEIVED: 4,
  STATISTICS_DROPPED: 5,
} as const;

/** As the card sees it. The values are those of a packet's flags. */
export const Direction = { IN: 1, OUT: 2 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

/** The start of a file: a section, and its interface, an Ethernet card of this name. */
export function fileHeader(interfaceName: string): Uint8Array {
  const section = block(BlockType.SECTION, 16, [[Option.SECTION_APPLICATION, text('upcall')]]);
  section.view.setUint32(8, BYTE_ORDER_MAGIC, true);
  // Version 1.0.
  section.view.setUint16(12, 1, true);
  // Of unknown length.
  section.bytes.fill(0xff, 16, 24);
  const card = block(BlockType.INTERFACE, 8, [[Option.INTERFACE_NAME, text(interfaceName)]]);
  // The zeros behind it: no limit of a packet's length. Times are in microseconds by default.
  card.view.setUint16(8, LINKTYPE_ETHERNET, true);
  const bytes = new Uint8Array(section.bytes.length + card.bytes.length);
  bytes.set(section.bytes);
  bytes.set(card.bytes, section.bytes.length);
  return bytes;
}

/** `timeUs`: microseconds since 1970. */
export function packetBlock(frame: Uint8Array, direction: Direction, timeUs: number): Uint8Array {
  const { bytes, view } = block(BlockType.PACKET, 20 + padded(frame.length), [[Option.PACKET_FLAGS, u32(direction)]]);
  setTime(view, timeUs);
  // Captured length and original length: nothing is cut off.
  view.setUint32(20, frame.length, true);
  view.setUint32(24, frame.length, true);
  bytes.set(frame, 28);
  return bytes;
}

/** The end of a file: how many packets there were, and how many of them are not in the file. */
export function statisticsBlock(received: number, dropped: number, timeUs: number): Uint8Array {
  const { bytes, view } = block(BlockType.STATISTICS, 12, [
    [Option.STATISTICS_RECEIVED, u64(received)],
    [Option.STATISTICS_DROPPED, u64(dropped)],
  ]);
  setTime(view, timeUs);
  return bytes;
}

/**
 * A block: type, length, `bodyBytes` zeros for the caller to fill, options, and the length again.
 * The number of the interface stays 0: that of the only one.
 */
function block(
  type: number,
  bodyBytes: number,
  options: readonly (readonly [code: number, value: Uint8Array])[],
): { readonly bytes: Uint8Array; readonly view: DataView } {
  const optionBytes = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4);
  const bytes = new Uint8Array(8 + bodyBytes + optionBytes + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(bytes.length - 4, bytes.length, true);
  let at = 8 + bodyBytes;
  for (const [code, value] of options) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  // The four zeros before the last length end the options.
  return { bytes, view };
}

/** The upper half comes first. */
function setTime(view: DataView, timeUs: number): void {
  view.setUint32(12, Math.floor(timeUs / 2 ** 32), true);
  view.setUint32(16, timeUs % 2 ** 32, true);
}

/** To a multiple of four. */
const padded = (bytes: number): number => (bytes + 3) & ~3;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const u32 = (value: number): Uint8Array => Uint8Array.of(value, value >> 8, value >> 16, value >>> 24);

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
