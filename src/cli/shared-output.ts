/**
 * sharesMessages: whether a guest's console and upcall's messages appear in one place, as at a
 * terminal or with `2>&1`. A message then must not begin in the middle of the guest's line.
 *
 * Called by: runSession.
 */

import { fstatSync } from 'node:fs';

const STANDARD_ERROR = 2;

/** `output`: the stream of the console. `messages`: the descriptor of upcall's messages. */
export function sharesMessages(
  output: { readonly isTTY?: boolean; readonly fd?: number },
  messages = STANDARD_ERROR,
): boolean {
  if (output.isTTY === true || output.fd === undefined) return output.isTTY === true;
  try {
    const [one, other] = [fstatSync(output.fd), fstatSync(messages)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    // One of them is closed.
    return false;
  }
}
