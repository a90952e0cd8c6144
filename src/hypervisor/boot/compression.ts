/**
 * Packed files, unpacked on the host: gzip, xz and zstd. Runs in Node and in browsers.
 *
 * Called by: kernel-payload.ts for the kernel inside a bzImage, and guest-image.ts for an image
 * that is packed as a whole, as GRUB takes it.
 */

import { Decompress as ZstdStream } from 'fzstd';
import xzDecompress from 'xz-decompress';
import { UpcallError } from '../../io-request/upcall-error.js';
import { ImageReader } from './image-reader.js';
import { undoX86Filter } from './x86-filter.js';
import { crc32, planXz } from './xz-container.js';

/** Distributions' kernels unpack to 20…60 MB. */
export const MAX_UNPACKED_BYTES = 256 * 2 ** 20;
/** `zstd --ultra -22`, which kernels are packed with, has a window of 128 MiB. */
export const MAX_ZSTD_WINDOW = 128 * 2 ** 20;

type Sink = (chunk: Uint8Array) => void;

interface Unpacked {
  /** False if the file uses a part of its format that cannot be unpacked here. */
  readonly isComplete: boolean;
  /** Whether the bytes still have to go through `undoX86Filter`. */
  readonly filtered?: boolean;
  /**
   * The checksum that the bytes must have after that. Undefined: `unpack` has compared what it can,
   * which is not each kind of checksum.
   */
  readonly crc32?: number | undefined;
}

export interface PackedFormat {
  readonly name: string;
  readonly magic: readonly number[];
  /** Sends the unpacked bytes to `sink`. Rejects if it finds the file damaged. */
  unpack(packed: ImageReader, sink: Sink): Promise<Unpacked>;
}

const FORMATS: readonly PackedFormat[] = [
  { name: 'gzip', magic: [0x1f, 0x8b, 0x08], unpack: gunzip },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], unpack: unxz },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: unzstd },
];

/**
 * The format of a packed file. Undefined if it is not packed, or in a format that is not unpacked
 * here.
 */
export function packedFormat(packed: ImageReader): PackedFormat | undefined {
  return FORMATS.find(({ magic }) => magic.every((byte, index) => packed.bytes[index] === byte));
}

/**
 * Resolves with the unpacked bytes, or with undefined if the file uses a part of its format that
 * cannot be unpacked here. Rejects with IMAGE_MALFORMED for a damaged file, and with what `tooLong`
 * returns for one that unpacks to more than `maxBytes`.
 */
export async function unpack(
  packed: ImageReader,
  format: PackedFormat,
  maxBytes: number,
  tooLong: () => UpcallError,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let buffer = new Uint8Array(Math.min(maxBytes, Math.max(4 * packed.length, 4096)));
  let filled = 0;
  const sink = (chunk: Uint8Array): void => {
    if (chunk.length > maxBytes - filled) throw tooLong();
    if (filled + chunk.length > buffer.length) {
      const larger = new Uint8Array(Math.min(maxBytes, Math.max(2 * buffer.length, filled + chunk.length)));
      larger.set(buffer.subarray(0, filled));
      buffer = larger;
    }
    buffer.set(chunk, filled);
    filled += chunk.length;
  };
  try {
    const unpacked = await format.unpack(packed, sink);
    if (!unpacked.isComplete) return undefined;
    const bytes = buffer.subarray(0, filled);
    if (unpacked.filtered === true) undoX86Filter(bytes);
    if (unpacked.crc32 !== undefined && unpacked.crc32 !== crc32(bytes))
      throw packed.malformed('its checksum is wrong');
    return bytes;
  } catch (cause) {
    if (cause instanceof UpcallError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw packed.malformed(`its ${format.name} data is damaged (${reason})`);
  }
}

async function gunzip(packed: ImageReader, sink: Sink): Promise<Unpacked> {
  const gunzipped: ReadableStream<Uint8Array> = inOneChunk(packed.bytes).pipeThrough(new DecompressionStream('gzip'));
  await drain(gunzipped, sink);
  return { isComplete: true };
}

async function unxz(packed: ImageReader, sink: Sink): Promise<Unpacked> {
  const plan = planXz(packed);
  if (plan === undefined) return { isComplete: false };
  await drain(new xzDecompress.XzReadableStream(inOneChunk(plan.stream)), sink);
  return { isComplete: true, filtered: plan.filtered, crc32: plan.crc32 };
}

// eslint-disable-next-line @typescript-eslint/require-await -- async, so that fzstd's throws become rejections too
async function unzstd(packed: ImageReader, sink: Sink): Promise<Unpacked> {
  const window = zstdWindow(packed);
  if (window > MAX_ZSTD_WINDOW) throw packed.malformed(`a zstd window of ${window} bytes`);
  const isLast = true;
  new ZstdStream((chunk) => sink(chunk)).push(packed.bytes, isLast);
  return { isComplete: true };
}

function inOneChunk(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(Uint8Array.from(bytes));
      controller.close();
    },
  });
}

/**
 * Sends each chunk of the stream to `sink`. Cancels the stream if that throws: xz-decompress runs
 * no other stream until this one has ended.
 */
async function drain(stream: ReadableStream<Uint8Array>, sink: Sink): Promise<void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      sink(value);
    }
  } catch (error) {
    await reader.cancel(error).catch(() => undefined);
    throw error;
  }
}

/**
 * The window that a decoder must allocate (RFC 8878, 3.1.1.1: frame header descriptor, window
 * descriptor, frame content size).
 */
function zstdWindow(frame: ImageReader): number {
  const descriptor = frame.u8(4);
  // With a single segment the window is the content, and there is no window descriptor.
  const singleSegment = (descriptor & 0x20) !== 0;
  if (!singleSegment) {
    const window = frame.u8(5);
    const base = 2 ** (10 + (window >>> 3));
    return base + (base / 8) * (window & 7);
  }
  // Behind a dictionary ID of 0 to 4 bytes.
  const contentSizeAt = 5 + ([0, 1, 2, 4][descriptor & 3] as number);
  switch (descriptor >>> 6) {
    case 0:
      return frame.u8(contentSizeAt);
    case 1:
      return frame.u16(contentSizeAt) + 256;
    case 2:
      return frame.u32(contentSizeAt);
    default:
      return frame.u32(contentSizeAt) + frame.u32(contentSizeAt + 4) * 2 ** 32;
  }
}
