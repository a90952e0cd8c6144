/**
 * readTarMember: one file out of a tar stream (POSIX ustar), without unpacking the rest: a kernel package has hundreds of
 * megabytes of modules that nobody needs here.
 */

const BLOCK = 512;
/** No kernel or busybox is as large. */
export const MAX_MEMBER_BYTES = 128 * 2 ** 20;
const REGULAR = new Set(['0', '\0']);

/** The first regular file whose path matches, or undefined when the stream has none. Throws if the stream is no tar. */
export async function readTarMember(stream: AsyncIterable<Uint8Array>, path: RegExp): Promise<Buffer | undefined> {
  let pending: Uint8Array[] = [];
  let have = 0;
  /** Bytes of the current member that are passed over. */
  let skip = 0;
  let wanted: number | undefined;

  for await (const chunk of stream) {
    pending.push(chunk);
    have += chunk.length;
    for (;;) {
      if (wanted !== undefined) {
        if (have < wanted) break;
        return Buffer.concat(pending).subarray(0, wanted);
      }
      if (skip > 0 && have > 0) {
        const rest: Buffer = Buffer.concat(pending);
        const passed = Math.min(skip, have);
        pending = [rest.subarray(passed)];
        have -= passed;
        skip -= passed;
      }
      if (skip > 0 || have < BLOCK) break;
      const block: Buffer = Buffer.concat(pending);
      const header = readHeader(block.subarray(0, BLOCK));
      if (header === undefined) return undefined;
      pending = [block.subarray(BLOCK)];
      have -= BLOCK;
      if (header.isFile && path.test(header.path)) {
        if (header.size > MAX_MEMBER_BYTES) throw new Error(`${header.path} has ${header.size} bytes`);
        wanted = header.size;
      } else {
        skip = Math.ceil(header.size / BLOCK) * BLOCK;
      }
    }
  }
  return undefined;
}

/** Undefined for the zeros at the end of an archive. */
function readHeader(block: Buffer): { path: string; size: number; isFile: boolean } | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const text = (offset: number, length: number): string =>
    block.toString('latin1', offset, offset + length).replace(/\0.*$/s, '');
  const size = Number.parseInt(text(124, 12), 8);
  if (text(257, 5) !== 'ustar' || !(size >= 0)) throw new Error('not a tar archive');
  const prefix = text(345, 155);
  const name = text(0, 100);
  return {
    // GNU's own form has other things in the prefix field; its magic has blanks after "ustar".
    path: prefix !== '' && block[262] === 0 ? `${prefix}/${name}` : name,
    size,
    isFile: REGULAR.has(String.fromCharCode(block[156] ?? 0)),
  };
}
