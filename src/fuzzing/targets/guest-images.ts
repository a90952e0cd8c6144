/**
 * Target "images": guest images of every kind, intact and damaged.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Property: an image loads or is refused with an UpcallError and a remedy, within bounded time and
 * memory. The first eight bytes of an input choose the options, the others are the image.
 */

import { IMAGE_KINDS, prepareGuestImage, type GuestImageOptions } from '../../hypervisor/boot/guest-image.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { expect, within, type FuzzTarget } from '../fuzz-target.js';
import { FuzzInput } from '../fuzz-input.js';

const MIB = 2 ** 20;
const MEMORY_MIB = [1, 2, 4, 16];
/** For one image. Most take milliseconds, but the machine may be busy. */
const LIMIT_MS = 45_000;
/**
 * Limit by which one image may make the process grow. An image may unpack to 256 MiB with a window
 * of 128 MiB. Both are copied once.
 */
const LIMIT_BYTES = 1024 * MIB;
/** Load addresses: usual ones, and edges. */
const ADDRESSES = [0, 0x7c00, 0x9_ffff, 0x10_0000, 0xffff, 0x1_0000, 0xf_ffff, 0xffff_ffff];

export const guestImages: FuzzTarget = {
  name: 'images',
  about: 'guest images: ELF, multiboot, bzImage, gzip, xz, zstd',
  maxBytes: 8192,
  open: () => {
    const memories = MEMORY_MIB.map((mib) => memoryOf(mib * MIB));
    return Promise.resolve({ run: (bytes) => run(new FuzzInput(bytes), memories), close: () => undefined });
  },
};

async function run(input: FuzzInput, memories: readonly GuestMemory[]): Promise<void> {
  const memory = input.pick(memories);
  const options = readOptions(input);
  const before = process.memoryUsage.rss();
  try {
    await within(LIMIT_MS, 'an image', load(options, memory));
  } catch (error) {
    if (!(error instanceof UpcallError)) throw error;
    expect(error.message.length > 0 && error.remedy !== undefined, () => `no remedy: ${error.message}`);
  }
  const grown = process.memoryUsage.rss() - before;
  expect(grown < LIMIT_BYTES, () => `an image took ${Math.round(grown / MIB)} MiB`);
}

async function load(options: GuestImageOptions, memory: GuestMemory): Promise<void> {
  const image = await prepareGuestImage(options);
  image.check(memory.size);
  // Twice: a reset loads the image again.
  for (let time = 0; time < 2; time++) {
    const { ip } = image.load(memory);
    expect(Number.isInteger(ip) && ip >= 0 && ip <= 0xffff_ffff, () => `an entry at ${ip}`);
  }
}

function readOptions(input: FuzzInput): GuestImageOptions {
  // Undefined options are left out: most images are recognised, and have a default address.
  const kind = [undefined, undefined, undefined, ...IMAGE_KINDS][input.below(10)];
  const address = [undefined, undefined, ...ADDRESSES][input.below(10)];
  const commandLine =
    input.below(4) === 3 ? 'x'.repeat(input.u8() * 300) : ['', 'console=ttyS0', '"', 'ä'][input.below(4)];
  const initrdBytes = [0, 0, 1, 4096, 900_000][input.below(5)] as number;
  const [hasDsdt, isUnpacked] = [input.below(4) === 1, input.below(16) === 1];
  const image = input.rest();
  return {
    image,
    longMode: image.length % 2 === 1,
    ...(kind === undefined ? {} : { kind }),
    ...(address === undefined ? {} : { address }),
    ...(commandLine === undefined ? {} : { cmdline: commandLine }),
    ...(initrdBytes === 0 ? {} : { initrd: new Uint8Array(initrdBytes) }),
    ...(hasDsdt ? { dsdt: image.subarray(0, 64) } : {}),
    ...(isUnpacked ? { vmlinux: image } : {}),
  };
}

function memoryOf(byteLength: number): GuestMemory {
  return new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
}
