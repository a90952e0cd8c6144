/**
 * What the live view's server and its page say to each other, over one WebSocket at `/live`. Types, numbers and the frame
 * of the slots: nothing here needs Node or a browser, so both sides import it.
 *
 * The decisions. Text messages are JSON, one object each, told apart by `kind`. Two kinds are binary because they are
 * many: the slots, sixty times a second, and the guest's console; their first byte is a `FrameKind`.
 * Addresses and values are strings in hexadecimal (`0x3f8`): JSON has no 64-bit numbers.
 * The printed address has the token behind `#`, which browsers do not send: the page keeps it in sessionStorage (cookies
 * would be shared by all ports of the machine), takes it out of the address, and says it in its first message, HELLO_MS
 * at the latest. Until the server has said `welcome`, it says and takes nothing else.
 * The server sends what the page has asked to watch, and works for nobody otherwise. What a slow browser does not take is
 * left out, not queued: `sequence` and `lost` tell. Console bytes are the exception up to a limit, then the server ends
 * the connection; a page that connects again gets the latest of the console anew.
 * Messages with an `id` are answered by exactly one `done` or `registers` with the same id.
 */

/** In `welcome`; a page of another version asks to be loaded again. */
export const PROTOCOL_VERSION = 1;
export const LIVE_PATH = '/live';
/** How long a connection may stay without a valid `hello`. */
export const HELLO_MS = 5000;
/** A longer text message ends the connection. */
export const MAX_PAGE_MESSAGE_BYTES = 16 * 1024;
/** Characters of one `type`. Longer pastes are several messages. */
export const MAX_TYPED_CHARACTERS = 4096;
/** Moves in one `moves`; what is above is counted as lost. */
export const MAX_MOVES_PER_MESSAGE = 400;
/** The same while there are thousands: seven messages a second are more than anybody reads. */
export const MAX_MOVES_OF_FLOOD = 64;
/** Unclaimed addresses in one `tables`, the busiest first. */
export const MAX_UNCLAIMED_ROWS = 64;
export const MAX_BREAKPOINTS = 64;
export const MAX_EXPRESSION_CHARACTERS = 200;

/** Why the server closed the connection (WebSocket close codes for applications). */
export const CloseCode = {
  /** No token, or not the right one: open the printed address. */
  NOT_ALLOWED: 4401,
  /** A message that is none, or too many of them. */
  BAD_MESSAGE: 4400,
  /** MAX_PAGES pages are open already. */
  TOO_MANY: 4429,
  /** The browser did not take what the guest printed. */
  TOO_SLOW: 4408,
  /** The VM's process ends. */
  ENDED: 4410,
} as const;

export * from './page-messages.js';
export * from './server-messages.js';
export * from './slot-frame.js';
