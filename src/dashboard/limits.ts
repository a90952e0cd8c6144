/**
 * Limits of the live page: of its server's connections, and of the messages between page and
 * server. protocol.ts describes the messages and exports these limits to both sides.
 */

/** How many pages with the token may be open at the same time. */
export const MAX_PAGES = 8;

/**
 * The connections that are not a page with the token, by what they do: how many there may be, and
 * for how long each may do it (connection-pools.ts). A pool evicts its oldest connection for a new
 * one.
 */
export const CONNECTION_POOLS = {
  /** Connected, and no complete request header yet. */
  silent: { most: 256, ms: 5000 },
  /** The response to a request. A slow link may need a while for the page's largest file. */
  response: { most: 64, ms: 30_000 },
  /** A WebSocket before a valid `hello`. */
  hello: { most: 128, ms: 5000 },
  /** A response to /metrics, which needs the token. */
  metrics: { most: 8, ms: 10_000 },
} as const;

/**
 * A page with the token is disconnected if it shows no sign of life for one of these
 * periods: its network is lost, or its computer sleeps. It then reconnects by itself.
 */
export const HEARTBEAT_MS = 15_000;

/**
 * How long a request stays held after the report that no page is open, unless the operator chooses
 * otherwise.
 */
export const DEFAULT_RELEASE_MS = 60_000;
/** The time for a page to return before that report: a reload is not worth a message. */
export const RETURN_MS = 2000;

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
/** How many addresses and directions the list of a device's latest accesses has. */
export const MAX_ACCESS_ROWS = 64;
/** How many bytes of a device without a register map one `registers` message has. */
export const MAX_RAW_BYTES = 256;
/** How many messages of interrupts one `interrupts` message has, the most frequent ones. */
export const MAX_MESSAGE_ROWS = 64;
/** How many unclaimed addresses one `tables` message has, the busiest ones. */
export const MAX_UNCLAIMED_ROWS = 64;
