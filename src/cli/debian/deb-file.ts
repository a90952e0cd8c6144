/**
 * readDeb: files of a Debian package, without Debian's tools. Sources: deb(5), ar(5), and tar with
 * GNU's long names.
 *
 * Called by: readKernelPackage for the kernel's package, fetchDebian for busybox's, rootArchive and
 * rootImage for those of the root file system. The package is unpacked as a stream: a kernel's has
 * hundreds of megabytes of modules.
 */

import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { Decompress as ZstdStream } from 'fzstd';
import { unpackTar, type TarHeader } from 'modern-tar';
import xzDecompress from 'xz-decompress';
import { UpcallError } from '../../io-request/upcall-error.js';

export interface DebEntry {
  /** Without "./" before it and "/" behind it. The root itself is "". */
  readonly path: string;
  /** A hard link's target is a path like `path`, a symbolic link's is as in the package. */
  readonly type: 'file' | 'directory' | 'symlink' | 'link';
  /** The lower twelve bits: permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the last change, in seconds since 1970. */
  readonly seconds: number;
  readonly target: string;
  readonly content: Uint8Array;
}

/** Limit of one file that is returned, above the size of any kernel or module. */
const MAX_FILE_BYTES = 128 * 2 ** 20;
const AR_MAGIC = '!<arch>\n';
const AR_HEADER_BYTES = 60;
/** Size of the chunks in which the package is read. */
const READ_BYTES = 1 << 20;

/**
 * The entries of one part of the package: `control` (description and scripts) or `data` (files).
 * `isWanted` gets each path. Default: all entries are returned. Rejects with DOWNLOAD_FAILED if the
 * package is damaged, and with the signal's reason after an abort.
 */
export async function readDeb(
  file: string,
  part: 'control' | 'data',
  isWanted: (path: string) => boolean = () => true,
  signal?: AbortSignal,
): Promise<DebEntry[]> {
  const handle = await open(file);
  try {
    const { name, start, length } = await findMember(handle, `${part}.tar`);
    const bytes = handle.createReadStream({
      start,
      end: start + length - 1,
      highWaterMark: READ_BYTES,
      autoClose: false,
    });
    // At most one chunk waits: the package is larger than memory should be.
    const packed = Readable.toWeb(bytes, { strategy: { highWaterMark: 1 } }) as ReadableStream<Uint8Array<ArrayBuffer>>;
    const tar = decompress(name, packed);
    try {
      const filter = (header: TarHeader): boolean => {
        signal?.throwIfAborted();
        if (!isWanted(pathOf(header.name))) return false;
        if (header.size > MAX_FILE_BYTES) throw new Error(`${header.name} has ${header.size} bytes`);
        return true;
      };
      const entries = await unpackTar(tar, { strict: true, filter });
      return entries.map(({ header, data }) => entryOf(header, data));
    } finally {
      // xz-decompress runs no other stream until this one has ended.
      await tar.cancel().catch(() => undefined);
    }
  } catch (cause) {
    if (signal?.aborted === true || cause instanceof UpcallError) throw cause;
    throw damaged(file, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    await handle.close();
  }
}

/** The member of the archive whose name begins with `prefix`. */
async function findMember(
  handle: FileHandle,
  prefix: string,
): Promise<{ name: string; start: number; length: number }> {
  const read = async (at: number, bytes: number): Promise<string> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, at);
    return buffer.toString('latin1', 0, bytesRead);
  };
  if ((await read(0, AR_MAGIC.length)) !== AR_MAGIC) throw new Error('it is not an ar archive');
  for (let at = AR_MAGIC.length; ;) {
    const header = await read(at, AR_HEADER_BYTES);
    if (header === '') throw new Error(`it has no ${prefix}`);
    const length = Number(header.slice(48, 58));
    if (header.length < AR_HEADER_BYTES || !header.endsWith('`\n') || !Number.isSafeInteger(length) || length < 0)
      throw new Error(`the header at ${at} is invalid`);
    const name = header.slice(0, 16).trim().replace(/\/$/, '');
    const start = at + AR_HEADER_BYTES;
    if (name.startsWith(prefix)) return { name, start, length };
    at = start + length + (length & 1);
  }
}

function decompress(name: string, packed: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array> {
  switch (name.slice(name.indexOf('.tar') + 4)) {
    case '':
      return packed;
    case '.gz':
      return packed.pipeThrough(new DecompressionStream('gzip'));
    case '.xz':
      return new xzDecompress.XzReadableStream(packed);
    case '.zst':
      return packed.pipeThrough(zstdStream());
    default:
      throw new Error(`${name} is compressed in an unknown way`);
  }
}

function zstdStream(): TransformStream<Uint8Array, Uint8Array> {
  let stream: ZstdStream;
  return new TransformStream({
    start: (controller) => {
      stream = new ZstdStream((chunk) => controller.enqueue(chunk));
    },
    transform: (chunk) => {
      stream.push(chunk);
    },
    flush: () => {
      const isLast = true;
      stream.push(new Uint8Array(0), isLast);
    },
  });
}

function entryOf(header: TarHeader, data: Uint8Array | undefined): DebEntry {
  const { name, type = 'file', mode = 0o644, uid = 0, gid = 0, mtime, linkname = '' } = header;
  if (type !== 'file' && type !== 'directory' && type !== 'symlink' && type !== 'link')
    throw new Error(`${name} is of the kind ${type}`);
  return {
    path: pathOf(name),
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    seconds: Math.floor((mtime?.getTime() ?? 0) / 1000),
    target: type === 'link' ? pathOf(linkname) : linkname,
    content: data ?? new Uint8Array(0),
  };
}

/** "./usr/bin/" → "usr/bin". */
function pathOf(name: string): string {
  const path = name.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');
  return path === '.' ? '' : path;
}

function damaged(file: string, reason: string, cause: unknown): UpcallError {
  return new UpcallError('DOWNLOAD_FAILED', `the package ${basename(file)} is damaged: ${reason}`, {
    remedy: 'Try again',
    cause,
  });
}
