/**
 * Page messages: what the live page and `upcall top` send to the server, as schemas of the library
 * valibot. The schemas check messages and define their types. Only the server checks: the page
 * imports the types and nothing else.
 *
 * A message from the connection is untrusted text until `parsePageMessage` has accepted it. A field
 * that the schema does not name is an error: our own clients send none.
 *
 * Called by: PageConnection, with each text message of a page.
 */

import * as v from 'valibot';
import { LAST_LINE, MAX_EXPRESSION_CHARACTERS } from '../debugging/breakpoint-limits.js';
import { TYPE_NAMES } from '../io-request/io-request.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { INTERRUPT_NAMES } from '../trace/interrupt-reader.js';
import { MAX_NAME_CHARACTERS, MAX_TYPED_CHARACTERS } from './limits.js';

/** Text of at most `most` characters, and a whole number from 0 to `most`. */
const text = (most: number) => v.pipe(v.string(), v.maxLength(most));
const whole = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most));
const vcpu = whole(SLOT_COUNT - 1);
/** The number of a client or a breakpoint. */
const number = whole(Number.MAX_SAFE_INTEGER);
/** A number that the page chooses for the message. The reply has the same one. */
const id = whole(Number.MAX_SAFE_INTEGER);
/** Hexadecimal, up to 52 bits, so that it is exact as a number. */
const address = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,13}$/i));
/** Hexadecimal, up to 64 bits. */
const value = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/i));
const direction = v.picklist(['read', 'write']);
const requestType = v.picklist(TYPE_NAMES);
/** Where requests are held: at PENDING, or before COMPLETE. */
const holdPoint = v.picklist(['pending', 'complete']);

/** Selects requests. All fields that are present must match. */
const selection = {
  client: v.exactOptional(text(MAX_NAME_CHARACTERS)),
  type: v.exactOptional(requestType),
  /** An access with any byte in `first` to `last`. Default of `last`: `first`. */
  first: v.exactOptional(address),
  last: v.exactOptional(address),
  direction: v.exactOptional(direction),
  vcpu: v.exactOptional(vcpu),
};
/** `last` requires `first`, and must not be below it. */
const isOrdered = ({ first, last }: { readonly first?: string; readonly last?: string }): boolean =>
  last === undefined || (first !== undefined && Number(first) <= Number(last));

const moveFilter = v.pipe(
  // An array would pass as an object without fields.
  v.custom<object>((input) => typeof input === 'object' && !Array.isArray(input)),
  v.strictObject(selection),
  v.check((fields) => isOrdered(fields)),
);

const requestBreakpoint = v.pipe(
  v.strictObject({
    ...selection,
    /** `pending`: before the client gets the request. `complete`: answered, not yet delivered. */
    at: holdPoint,
    /** The value of a write, or the answer to a read before COMPLETE. */
    value: v.exactOptional(value),
    /** For instance `size == 1 && (value & 0x80) != 0`; see docs/live-page.md. */
    expression: v.exactOptional(text(MAX_EXPRESSION_CHARACTERS)),
  }),
  v.check((fields) => isOrdered(fields)),
);

/** Holds the request that follows an interrupt; see debugging/interrupt-breakpoint.ts. */
const interruptBreakpoint = v.strictObject({
  at: v.literal('interrupt'),
  interrupt: v.exactOptional(v.picklist(INTERRUPT_NAMES)),
  line: v.exactOptional(whole(LAST_LINE)),
  vector: v.exactOptional(whole(0xff)),
  by: v.exactOptional(text(MAX_NAME_CHARACTERS)),
});

const breakpoint = v.union([requestBreakpoint, interruptBreakpoint]);

const pageMessage = v.variant('kind', [
  /** The first message, with the token of the printed address. */
  v.strictObject({ kind: v.literal('hello'), token: text(MAX_NAME_CHARACTERS) }),
  /**
   * What to send from now on. `moves`: which moves (changes of a slot's state), `null` for none. A
   * hidden page must watch nothing.
   */
  v.strictObject({
    kind: v.literal('watch'),
    slots: v.boolean(),
    tables: v.boolean(),
    moves: v.nullable(moveFilter),
    /** Default: false. */
    interrupts: v.exactOptional(v.boolean()),
  }),
  /** Reads a device's registers without side effects. `client`: index into `clients`. */
  v.strictObject({ kind: v.literal('peek'), id, client: number }),
  /** Input for the guest's console. */
  v.strictObject({ kind: v.literal('type'), text: text(MAX_TYPED_CHARACTERS) }),
  /**
   * Whether every request is held at PENDING, and before COMPLETE, from now on, besides those of
   * breakpoints and steps. Releases nothing.
   */
  v.strictObject({ kind: v.literal('hold-all'), id, pending: v.boolean(), complete: v.boolean() }),
  v.strictObject({ kind: v.literal('break'), id, breakpoint }),
  /** Removes the breakpoint with this number. Its held requests stay held. */
  v.strictObject({ kind: v.literal('unbreak'), id, number }),
  /** Sets the value of a held request. See `StopRow.canChange`. */
  v.strictObject({ kind: v.literal('change'), id, vcpu, value }),
  /** Releases a held request. `vcpu: null`: all of them. */
  v.strictObject({ kind: v.literal('go'), id, vcpu: v.nullable(vcpu) }),
  /**
   * Releases a held request and holds it again before COMPLETE, or else its vCPU's next request.
   */
  v.strictObject({ kind: v.literal('step'), id, vcpu }),
  /** Whether requests stay held when no page is open. Applies to all pages of the VM. */
  v.strictObject({ kind: v.literal('keep-held'), id, keep: v.boolean() }),
  /**
   * Removes all breakpoints and releases all requests, also those that the program which runs the
   * VM has added or holds.
   */
  v.strictObject({ kind: v.literal('detach'), id }),
]);

export type PageMessage = v.InferOutput<typeof pageMessage>;
/** The message with this `kind`. */
export type PageMessageOf<Kind extends PageMessage['kind']> = Extract<PageMessage, { readonly kind: Kind }>;
export type MoveFilterFields = Readonly<v.InferOutput<typeof moveFilter>>;
export type RequestBreakpointFields = Readonly<v.InferOutput<typeof requestBreakpoint>>;
export type InterruptBreakpointFields = Readonly<v.InferOutput<typeof interruptBreakpoint>>;
export type BreakpointFields = RequestBreakpointFields | InterruptBreakpointFields;

/** Returns undefined if the text is not a message of the page. */
export function parsePageMessage(message: string): PageMessage | undefined {
  let input: unknown;
  try {
    input = JSON.parse(message);
  } catch {
    return undefined;
  }
  const { success, output } = v.safeParse(pageMessage, input, { abortEarly: true });
  return success ? output : undefined;
}
