/**
 * gzip by zlib, in the threads of libuv: several calls run at the same time.
 *
 * Called by: node-host.ts, which loads it on demand.
 */

import { promisify } from 'node:util';
import { constants, gunzip as gunzipOfNode, gzip as gzipOfNode } from 'node:zlib';

const compress = promisify<Uint8Array, { level: number }, Buffer>(gzipOfNode);
const decompress = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(gunzipOfNode);

export async function gzip(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return owned(await compress(bytes, { level: constants.Z_BEST_SPEED }));
}

export async function gunzip(bytes: Uint8Array, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return owned(await decompress(bytes, { maxOutputLength: limitBytes }));
}

/** Node's types leave open which kind of memory a Buffer has. zlib's are never shared. */
function owned(buffer: Buffer): Uint8Array<ArrayBuffer> {
  return buffer as Uint8Array<ArrayBuffer>;
}
