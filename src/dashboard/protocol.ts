/**
 * Protocol: what the live page and its server send each other over one WebSocket at LIVE_PATH.
 * Nothing here needs Node or a browser: the server, the page and `upcall top` import it.
 *
 * - Text messages are JSON objects, distinguished by `kind`. The slots and the guest's console are
 *   binary, because they are frequent. Their first byte is a `FrameKind`.
 * - Addresses and values are hexadecimal strings (`0x3f8`): JSON has no 64-bit numbers.
 * - The token is in the printed address after `#`, which browsers do not send. The page keeps it in
 *   sessionStorage, removes it from the address, and sends it in its first message. (All ports of a
 *   machine share cookies.) Until then the server sends nothing and accepts nothing else.
 * - A `watch` message of the page selects data: slots, tables (the statistics), moves (changes of a
 *   slot's state), interrupts. Of these the server samples and sends only what is selected. It
 *   drops what a slow browser does not take: see `sequence` and `lost`. Console bytes are queued up
 *   to a limit, then the connection is closed. A page that reconnects gets the console's history.
 * - A message with an `id` gets exactly one reply, `done` or `registers`, with the same `id`.
 */

/** Sent in `welcome`. A page of another version disconnects and asks to be reloaded. */
export const PROTOCOL_VERSION = 5;
/** The path of the WebSocket. */
export const LIVE_PATH = '/live';

/** Why the server closed the connection (WebSocket close codes for applications). */
export const CloseCode = {
  /** Missing or wrong token. */
  NOT_ALLOWED: 4401,
  /** Malformed message, or rate limit exceeded. */
  BAD_MESSAGE: 4400,
  /** MAX_PAGES pages are open. */
  TOO_MANY: 4429,
  /** The browser did not read the console's bytes. */
  TOO_SLOW: 4408,
  /** The server closes, because its process ends. */
  ENDED: 4410,
} as const;

export type * from './function-messages.js';
export * from './limits.js';
export type * from './page-messages.js';
export type * from './register-messages.js';
export * from './server-messages.js';
export * from './slot-frame.js';
