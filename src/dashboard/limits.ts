/**
 * Limits of the messages between the live page and its server. protocol.ts describes the messages
 * and exports these limits to both sides.
 */

/** A connection without a valid `hello` message is closed after this time. */
export const HELLO_MS = 5000;
/** A longer text message closes the connection. */
export const MAX_PAGE_MESSAGE_BYTES = 16 * 1024;
/** Longest text of a `type` message (input for the guest). A longer paste is several messages. */
export const MAX_TYPED_CHARACTERS = 4096;
/** Longest name of a client, and longest token. */
export const MAX_NAME_CHARACTERS = 200;
/** How many moves (changes of a slot's state) one `moves` message has. More are counted as lost. */
export const MAX_MOVES_PER_MESSAGE = 400;
/** The same in a flood (trace/move-sampler.ts), in which more moves would not be readable. */
export const MAX_MOVES_IN_FLOOD = 64;
/** How many unclaimed addresses one `tables` message has, the busiest ones. */
export const MAX_UNCLAIMED_ROWS = 64;
