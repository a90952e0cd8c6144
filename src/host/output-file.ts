/**
 * OutputFile: a file that is written from its start to its end.
 *
 * Called by: device-model/network/capture-file.ts and cli/ports/file-backend.ts. Implementation:
 * node/files.ts.
 */

export interface OutputFile {
  /** Appends. Callers must await it before the next call. Rejects with the host's own error. */
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
