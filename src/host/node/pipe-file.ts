/**
 * readPipe: reads a named pipe, or the file of a shell's `<(command)`, to its end.
 *
 * Node's own functions would open it in a thread of its pool, which waits for a writer. A process
 * cannot exit while such a thread waits: not even a signal or a time limit would end upcall.
 *
 * Called by: files.ts.
 */

import { close, constants, open } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { FileTooLargeError } from '../file-too-large.js';

/** Rejects with Node's own error, or with FileTooLargeError. */
export async function readPipe(file: string, limitBytes = Infinity): Promise<Uint8Array<ArrayBuffer>> {
  const fd = await promisify(open)(file, constants.O_RDONLY | constants.O_NONBLOCK);
  let pipe: Socket;
  try {
    pipe = new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    await promisify(close)(fd);
    throw error;
  }
  const pieces: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop closes the pipe.
  for await (const piece of pipe as AsyncIterable<Uint8Array>) {
    length += piece.length;
    if (length > limitBytes) throw new FileTooLargeError(file, limitBytes, 'stream');
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}
