/** Limits of the live page's connection; protocol.ts exports them too. */

/** A connection without a valid `hello` is closed after this. */
export const HELLO_MS = 5000;
/** A longer text message closes the connection. */
export const MAX_PAGE_MESSAGE_BYTES = 16 * 1024;
/** Characters of one `type`. A longer paste is several messages. */
export const MAX_TYPED_CHARACTERS = 4096;
/** Characters of a client's name or a token. */
export const MAX_NAME_CHARACTERS = 200;
/** Moves in one `moves`. More are counted as lost. */
export const MAX_MOVES_PER_MESSAGE = 400;
/** The same while there are thousands per second: nothing more would be readable. */
export const MAX_MOVES_OF_FLOOD = 64;
/** Unclaimed addresses in one `tables`, the busiest first. */
export const MAX_UNCLAIMED_ROWS = 64;
