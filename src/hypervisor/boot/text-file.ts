/** Text files, distinguished from flat binaries. Called by: foreign-image.ts. */

import type { ImageReader } from './image-reader.js';

/** Bytes of a file that are examined. */
const START_BYTES = 4096;
/** Shorter files may be programs of a few instructions that happen to be letters. */
const SHORTEST = 16;
/** All but tab, line feed, form feed and carriage return. */
const CONTROL = /[\x00-\x08\x0b\x0e-\x1f\x7f]/;

/** Whether the start of the file is UTF-8 without control characters. */
export function isText(image: ImageReader): boolean {
  if (image.length < SHORTEST) return false;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    // The last character may be cut off, unless the file ends there.
    const start = image.bytes.slice(0, START_BYTES);
    return !CONTROL.test(decoder.decode(start, { stream: start.length < image.length }));
  } catch {
    return false;
  }
}
