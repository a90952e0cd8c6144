/**
 * The compressed kernel inside a bzImage, unpacked on the host. The guest would take far longer:
 * several seconds for xz alone. Runs in Node and in browsers. Formats: gzip, xz, zstd. With any
 * other format the bzImage boots as it is and unpacks itself.
 */

import { Decompress as ZstdStream } from 'fzstd';
import xzDecompress from 'xz-decompress';
import { UpcallError } from '../../io-request/upcall-error.js';
import { ImageReader } from './image-reader.js';
import { isElf32ForI386 } from './elf32.js';
import { readSetupHeader } from './setup-header.js';
import { undoX86Filter } from './x86-filter.js';
import { crc32, planXz } from './xz-container.js';

/** Distributions' kernels unpack to 20…60 MB. */
export const MAX_UNPACKED_BYTES = 256 * 2 ** 20;
/** `zstd --ultra -22`, which kernels are packed with, has a window of 128 MiB. */
export const MAX_ZSTD_WINDOW = 128 * 2 ** 20;

/**
 * The kernel's build appends the unpacked size, except to a gzip stream, which ends with it anyway.
 */
const SIZE_BYTES = 4;

type Sink = (chunk: Uint8Array) => void;

interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  /**
   * Fills `unpacked` through `sink`. Resolves with false if it cannot unpack this file, rejects if
   * it is damaged.
   */
  unpack(packed: ImageReader, sink: Sink, unpacked: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

const FORMATS: readonly Format[] = [
  { name: 'gzip', magic: [0x1f, 0x8b, 0x08], unpack: gunzip },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], unpack: unxz },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: unzstd },
];

/**
 * The ELF for i386 inside `image`, or undefined if it is packed in another way or is a 64-bit
 * kernel.
 */
export async function unpackKernel(image: ImageReader): Promise<ImageReader | undefined> {
  const { payload } = readSetupHeader(image);
  if (payload === undefined) return undefined;
  const packed = new ImageReader(`${image.what}, compressed kernel`, image.slice(payload.offset, payload.length));
  const format = FORMATS.find(({ magic }) => magic.every((byte, index) => packed.bytes[index] === byte));
  if (format === undefined) return undefined;

  const size = packed.u32(packed.length - SIZE_BYTES);
  if (size > MAX_UNPACKED_BYTES)
    throw new UpcallError('IMAGE_TOO_LARGE', `${packed.what}: its header gives an unpacked size of ${size} bytes`, {
      remedy: `At most ${MAX_UNPACKED_BYTES} bytes are unpacked: check that the file is complete`,
    });
  const unpacked = new Uint8Array(size);
  let filled = 0;
  const sink = (chunk: Uint8Array): void => {
    if (chunk.length > size - filled) throw packed.malformed(`it unpacks to more than the ${size} bytes of its header`);
    unpacked.set(chunk, filled);
    filled += chunk.length;
  };
  try {
    const end = format.name === 'gzip' ? packed.length : packed.length - SIZE_BYTES;
    if (!(await format.unpack(new ImageReader(packed.what, packed.slice(0, end)), sink, unpacked))) return undefined;
  } catch (cause) {
    if (cause instanceof UpcallError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw packed.malformed(`its ${format.name} data is damaged (${reason})`);
  }
  if (filled !== size) throw packed.malformed(`it unpacks to ${filled} bytes, not to the ${size} of its header`);
  const vmlinux = new ImageReader('unpacked kernel', unpacked);
  return isElf32ForI386(vmlinux) ? vmlinux : undefined;
}

async function gunzip(packed: ImageReader, sink: Sink): Promise<boolean> {
  const gunzipped: ReadableStream<Uint8Array> = inOneChunk(packed.bytes).pipeThrough(new DecompressionStream('gzip'));
  return drain(gunzipped, sink);
}

async function unxz(packed: ImageReader, sink: Sink, unpacked: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const plan = planXz(packed);
  if (plan === undefined) return false;
  await drain(new xzDecompress.XzReadableStream(inOneChunk(plan.stream)), sink);
  if (plan.filtered) undoX86Filter(unpacked);
  if (plan.crc32 !== undefined && plan.crc32 !== crc32(unpacked)) throw packed.malformed('its checksum is wrong');
  return true;
}

// eslint-disable-next-line @typescript-eslint/require-await -- async, so that fzstd's throws become rejections too
async function unzstd(packed: ImageReader, sink: Sink): Promise<boolean> {
  const window = zstdWindow(packed);
  if (window > MAX_ZSTD_WINDOW) throw packed.malformed(`a zstd window of ${window} bytes`);
  new ZstdStream((chunk) => sink(chunk)).push(packed.bytes, true);
  return true;
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
 * Cancels the stream if `sink` throws: xz-decompress runs no other stream until this one has ended.
 */
async function drain(stream: ReadableStream<Uint8Array>, sink: Sink): Promise<true> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return true;
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
  const singleSegment = (descriptor & 0x20) !== 0;
  if (!singleSegment) {
    const window = frame.u8(5);
    const base = 2 ** (10 + (window >>> 3));
    return base + (base / 8) * (window & 7);
  }
  const contentSize = 5 + ([0, 1, 2, 4][descriptor & 3] as number);
  switch (descriptor >>> 6) {
    case 0:
      return frame.u8(contentSize);
    case 1:
      return frame.u16(contentSize) + 256;
    case 2:
      return frame.u32(contentSize);
    default:
      return frame.u32(contentSize) + frame.u32(contentSize + 4) * 2 ** 32;
  }
}
