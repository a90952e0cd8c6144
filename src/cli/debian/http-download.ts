/**
 * downloadBytes and downloadTo: a file by HTTP or HTTPS, to memory or to a path. At most as many
 * bytes as expected are read, and their SHA-256 is compared.
 *
 * Called by: DebianMirror.
 */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { IndexedFile } from './signed-release.js';

export interface Download {
  readonly url: string;
  /** Undefined for what has a signature of its own. */
  readonly expected?: IndexedFile;
  /** Limit of the bytes. A larger size in `expected` is refused. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes so far. */
  readonly onBytes?: (bytes: number) => void;
}

const AGAIN = 'Try again later: the mirror may be changing. If it remains, give another one with --mirror';

/** Rejects as `downloadTo` does. */
export async function downloadBytes(download: Download): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await receive(download, (part) => void parts.push(part));
  return Buffer.concat(parts);
}

/**
 * Rejects with DOWNLOAD_FAILED, or with the signal's reason after an abort. The file then stays
 * behind: the caller removes the folder.
 */
export async function downloadTo(file: string, download: Download): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    // The writeFile of a handle goes on where the last one ended.
    await receive(download, (part) => handle.writeFile(part));
  } finally {
    await handle.close();
  }
}

/** Calls `take` with each part. Rejects as `downloadTo` does. */
async function receive(
  { url, expected, maxBytes, signal, onBytes }: Download,
  take: (part: Uint8Array) => Promise<void> | void,
): Promise<void> {
  const limit = expected?.bytes ?? maxBytes;
  if (limit > maxBytes) throw failed(`${url} has ${limit} bytes, more than ${maxBytes}`, AGAIN);
  const hash = createHash('sha256');
  let bytes = 0;
  const body = await request(url, signal);
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw unreachable(url, error, signal);
      });
      if (done) break;
      bytes += value.length;
      if (bytes > limit) throw failed(`${url} has more than the ${limit} bytes that are expected`, AGAIN);
      hash.update(value);
      await take(value);
      onBytes?.(bytes);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  if (expected === undefined) return;
  if (bytes !== expected.bytes)
    throw failed(`${url} ended after ${bytes} of the ${expected.bytes} bytes that the signed index states`, AGAIN);
  const found = hash.digest('hex');
  if (found !== expected.sha256)
    throw failed(`${url} has the SHA-256 ${found}, and the signed index states ${expected.sha256}`, AGAIN);
}

async function request(url: string, signal: AbortSignal | undefined): Promise<ReadableStream<Uint8Array>> {
  let response: Response;
  try {
    // With a content encoding, the number of bytes would differ from that of the file.
    response = await fetch(url, { headers: { 'accept-encoding': 'identity' }, signal: signal ?? null });
  } catch (error) {
    throw unreachable(url, error, signal);
  }
  if (response.status === 200 && response.body !== null) return response.body;
  await response.body?.cancel();
  throw failed(`${url}: the server answers with status ${response.status}`, 'Check the address of the mirror');
}

function unreachable(url: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  // fetch itself only says "fetch failed".
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return failed(
    `${url} cannot be fetched: ${reason}`,
    'Check the network, or give another mirror with --mirror',
    error,
  );
}

function failed(fact: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('DOWNLOAD_FAILED', fact, { remedy, cause });
}
