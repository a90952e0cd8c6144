/**
 * The container of a snapshot: packs a manifest and pieces of memory into the bytes of a file, and
 * unpacks them.
 *
 * Called by: Snapshot (snapshot.ts), which knows what the manifest and the pieces are.
 *
 * Layout, numbers little-endian (docs/snapshots.md, decision 33): 8 bytes "upcallVM", the version
 * of the format (u32), the length of the manifest (u32); then members of gzip: the manifest, which
 * is JSON, and the pieces. The manifest lists the length of each piece, unpacked and packed. Each
 * member has gzip's CRC-32, so a damaged byte is found.
 *
 * A file may be hostile: lengths are checked before they are used, and nothing is unpacked to more
 * than was announced.
 */

import { host } from '../../host/current.js';
import { SavedState } from '../../io-request/saved-state.js';
import { UpcallError } from '../../io-request/upcall-error.js';

const MAGIC = 'upcallVM';
export const FORMAT_VERSION = 1;
const HEADER_BYTES = 16;
/** Of a manifest, unpacked. That of a guest with 2 GiB of scattered pages is below 8 MiB. */
const MAX_MANIFEST_BYTES = 32 << 20;
/** Of one piece, unpacked. */
const MAX_PIECE_BYTES = 1 << 20;
/** 2 GiB of RAM, and the memory of one vCPU. */
const MAX_PIECES = 2400;

export interface Packed {
  /** As JSON. */
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
}

/** Whether a file with these first bytes is a snapshot, of whatever version. */
export function isSnapshot(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) === MAGIC;
}

/** The parts of the file, in order. */
export async function packSnapshot({ manifest, pieces }: Packed): Promise<Uint8Array<ArrayBuffer>[]> {
  const packed = await Promise.all(pieces.map((piece) => host.gzip(piece)));
  const lengths = packed.map((bytes, index) => [pieces[index]?.length, bytes.length]);
  const json = await host.gzip(new TextEncoder().encode(JSON.stringify({ ...manifest, pieces: lengths })));
  const header = new Uint8Array(HEADER_BYTES);
  header.set(new TextEncoder().encode(MAGIC));
  const fields = new DataView(header.buffer);
  fields.setUint32(8, FORMAT_VERSION, true);
  fields.setUint32(12, json.length, true);
  return [header, json, ...packed];
}

/** `file` is its name, for messages. Throws SNAPSHOT_INVALID. */
export async function unpackSnapshot(bytes: Uint8Array<ArrayBuffer>, file: string): Promise<Packed> {
  if (!isSnapshot(bytes)) throw invalid(file, 'is not a snapshot');
  if (bytes.length < HEADER_BYTES) throw invalid(file, 'ends within its header');
  const fields = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const version = fields.getUint32(8, true);
  if (version !== FORMAT_VERSION)
    throw invalid(file, `has version ${version} of the format, and this upcall reads version ${FORMAT_VERSION}`);
  const first = HEADER_BYTES + fields.getUint32(12, true);
  if (first > bytes.length) throw invalid(file, 'ends within its manifest');
  const json = await unpack(bytes.subarray(HEADER_BYTES, first), MAX_MANIFEST_BYTES, file, 'the manifest');
  let manifest: unknown;
  try {
    manifest = JSON.parse(new TextDecoder().decode(json));
  } catch (cause) {
    throw invalid(file, 'has a manifest that is not JSON', cause);
  }
  const lengths = lengthsOf(new SavedState('the manifest', manifest));
  const stored = lengths.reduce((sum, [, length]) => sum + length, 0);
  if (first + stored !== bytes.length)
    throw invalid(file, `has ${bytes.length} bytes, and its manifest announces ${first + stored}`);
  let at = first;
  const pieces = await Promise.all(
    lengths.map(async ([length, storedLength], index) => {
      const piece = bytes.subarray(at, (at += storedLength));
      const unpacked = await unpack(piece, length, file, `piece ${index}`);
      if (unpacked.length !== length)
        throw invalid(file, `has ${unpacked.length} of ${length} bytes in piece ${index}`);
      return unpacked;
    }),
  );
  return { manifest: manifest as Packed['manifest'], pieces };
}

function lengthsOf(manifest: SavedState): readonly (readonly [length: number, stored: number])[] {
  return manifest.list('pieces', MAX_PIECES).map((pair, index) => {
    const from = new SavedState(`piece ${index}`, { pair });
    // A piece that does not shrink gets some bytes longer.
    const [length = 0, stored = 0] = from.integers('pair', 2, 1, 2 * MAX_PIECE_BYTES);
    if (length > MAX_PIECE_BYTES) throw from.unexpected('pair', `at most ${MAX_PIECE_BYTES} bytes`);
    return [length, stored];
  });
}

async function unpack(bytes: Uint8Array, limit: number, file: string, what: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await host.gunzip(bytes, limit);
  } catch (cause) {
    throw invalid(file, `is damaged: ${what} cannot be unpacked`, cause);
  }
}

function invalid(file: string, fact: string, cause?: unknown): UpcallError {
  return new UpcallError('SNAPSHOT_INVALID', `${file} ${fact}`, {
    remedy: 'Save the VM again, with this version of upcall',
    cause,
  });
}
