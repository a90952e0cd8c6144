/**
 * readPackageFile, extractPackageFiles: files of a Debian package, by dpkg-deb and tar. The package
 * is not unpacked completely: a kernel's has hundreds of megabytes of modules.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { toolMissing } from './run-tool.js';

/** Limit of the file's size, above that of any kernel or busybox. */
const MAX_FILE_BYTES = 128 * 2 ** 20;

/**
 * The first regular file whose path matches `pattern` (GNU tar's wildcards, in which `*` also
 * stands for slashes). Undefined if the package has no such file, an empty one, or is damaged.
 * Rejects with TOOL_MISSING without dpkg-deb or tar, and with an Error if the file is larger than
 * MAX_FILE_BYTES.
 */
export async function readPackageFile(packagePath: string, pattern: string): Promise<Buffer | undefined> {
  const unpack = spawn('dpkg-deb', ['--fsys-tarfile', packagePath], { stdio: ['ignore', 'pipe', 'ignore'] });
  // `--occurrence=1` ends tar at the match, so that the rest is not decompressed.
  const options = ['--extract', '--to-stdout', '--occurrence=1', '--wildcards', pattern];
  const extract = spawn('tar', options, { stdio: ['pipe', 'pipe', 'ignore'] });
  // tar reports a package that ends early, or that is damaged inside the file, by its status.
  const exited = once(extract, 'close').catch(() => [1]);
  const missing = new Promise<never>((_, reject) => {
    unpack.on('error', (cause) => reject(toolMissing('dpkg-deb', cause)));
    extract.on('error', (cause) => reject(toolMissing('tar', cause)));
  });
  // The pipe fails with EPIPE when tar has read enough, and when either program is missing.
  const feeding = pipeline(unpack.stdout, extract.stdin).catch(() => undefined);
  try {
    const file = await Promise.race([collect(extract.stdout, packagePath), missing]);
    const [status] = (await exited) as [number | null];
    return status === 0 ? file : undefined;
  } finally {
    unpack.kill();
    extract.kill();
    await feeding;
  }
}

/**
 * Writes the files whose paths match one of `patterns` to `folder`, with their folders. Patterns
 * without a file and damaged packages are no error here: callers must check what they got. Rejects
 * with TOOL_MISSING without dpkg-deb or tar, and with the signal's reason after an abort.
 */
export async function extractPackageFiles(
  packagePath: string,
  patterns: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const unpack = spawn('dpkg-deb', ['--fsys-tarfile', packagePath], { stdio: ['ignore', 'pipe', 'ignore'] });
  const options = ['--extract', '--no-same-owner', '--directory', folder, '--wildcards', ...patterns];
  const extract = spawn('tar', options, { stdio: ['pipe', 'ignore', 'ignore'] });
  const exited = once(extract, 'close').catch(() => undefined);
  const missing = new Promise<never>((_, reject) => {
    unpack.on('error', (cause) => reject(toolMissing('dpkg-deb', cause)));
    extract.on('error', (cause) => reject(toolMissing('tar', cause)));
  });
  const feeding = pipeline(unpack.stdout, extract.stdin).catch(() => undefined);
  const onAbort = (): void => {
    unpack.kill();
    extract.kill();
  };
  signal?.addEventListener('abort', onAbort);
  try {
    await Promise.race([exited, missing]);
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', onAbort);
    unpack.kill();
    extract.kill();
    await feeding;
  }
}

async function collect(stream: AsyncIterable<Uint8Array>, packagePath: string): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_FILE_BYTES) throw new Error(`a file in ${packagePath} has more than ${MAX_FILE_BYTES} bytes`);
  }
  return length === 0 ? undefined : Buffer.concat(chunks);
}
