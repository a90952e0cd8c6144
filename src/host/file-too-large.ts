/**
 * FileTooLargeError: what a host's `readFile` rejects with when a file has more bytes than its
 * caller allows.
 *
 * Called by: node/files.ts and node/pipe-file.ts, which throw it; the callers of `readFile` with
 * limits (vm/image-file.ts, cli/fault-option.ts).
 */

/** Limits of one `readFile`, in bytes. */
export interface ReadLimits {
  /** Of a regular file, whose size is known before the first byte is read. */
  readonly fileBytes: number;
  /** Of a pipe or a device, which may never end. */
  readonly streamBytes: number;
}

export class FileTooLargeError extends Error {
  override readonly name = 'FileTooLargeError';
  readonly limitBytes: number;
  /** Whether the limit is ReadLimits.streamBytes. */
  readonly isStream: boolean;

  constructor(file: string, limitBytes: number, kind: 'file' | 'stream') {
    super(`${file} has more than ${limitBytes} bytes`);
    this.limitBytes = limitBytes;
    this.isStream = kind === 'stream';
  }
}

/** A limit as text for messages: "256 MiB", "100 bytes". */
export function sizeText(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes >= 1 ? `${Math.round(mebibytes)} MiB` : `${bytes} bytes`;
}
