/**
 * Rows: translates between the VM's data and the messages of the live page. Requests, moves and
 * stops (held requests) become rows. A page's breakpoint or filter becomes that of the VM.
 *
 * Called by: PageConnection, PageHolds and LiveView; `upcall top`.
 */

import type { Breakpoint } from '../debugging/breakpoint.js';
import type { StoppedRequest } from '../debugging/held-request.js';
import type { VmDebugger } from '../debugging/vm-debugger.js';
import { addressText, hex, type IoRequest } from '../io-request/io-request.js';
import { interruptText } from '../trace/interrupt-reader.js';
import type { MoveFilter } from '../trace/move-filter.js';
import type { Move } from '../trace/move.js';
import type { BreakpointFields, MoveFilterFields, MoveRow, RequestRow, StopRow, Stops } from './protocol.js';

export function requestRow(request: IoRequest): RequestRow {
  const { type, direction, size, value } = request;
  return { type, direction, address: addressText(request), size, value: hex(value) };
}

export function moveRow(move: Move): MoveRow {
  const { timeNs, isTimed, vcpu, from, to, by, client, request, requestNumber, isRefused } = move;
  return {
    timeNs,
    isTimed,
    vcpu,
    from,
    to,
    by,
    client: client ?? null,
    request: request === undefined ? null : requestRow(request),
    requestNumber,
    isRefused,
  };
}

export function stopRow(stop: StoppedRequest): StopRow {
  const { vcpu, at, client, canChange, sinceMs } = stop;
  return {
    vcpu,
    at,
    client,
    request: requestRow(stop.request),
    canChange,
    breakpoint: stop.breakpoint ?? null,
    interrupt: stop.interrupt === undefined ? null : interruptText(stop.interrupt),
    sinceMs,
  };
}

/**
 * The `stops` message: what the debugger holds, its breakpoints, and what becomes of held requests
 * without a page.
 */
export function stopsMessage(vmDebugger: VmDebugger, keepsHeld: boolean, releaseMs: number): Stops {
  const { holdAll, breakpoints, stops } = vmDebugger;
  return {
    kind: 'stops',
    holdAll,
    breakpoints: breakpoints.map(({ number, breakpoint, hits }) => ({ ...breakpointFields(breakpoint), number, hits })),
    stops: stops.map(stopRow),
    keepsHeld,
    releaseMs,
  };
}

function breakpointFields(breakpoint: Breakpoint): BreakpointFields {
  if (breakpoint.at === 'interrupt') return breakpoint;
  const { address, value, ...same } = breakpoint;
  return {
    ...same,
    ...(address === undefined ? {} : { first: hex(address.from), last: hex(address.to) }),
    ...(value === undefined ? {} : { value: hex(value) }),
  };
}

/** The breakpoint for fields that `parsePageMessage` has accepted. */
export function breakpointOf(fields: BreakpointFields): Breakpoint {
  if (fields.at === 'interrupt') return fields;
  const { first, last, value, ...same } = fields;
  return {
    ...same,
    ...(first === undefined ? {} : { address: { from: Number(first), to: Number(last ?? first) } }),
    ...(value === undefined ? {} : { value: BigInt(value) }),
  };
}

/** The filter for fields that `parsePageMessage` has accepted. */
export function filterOf({ first, last, ...same }: MoveFilterFields): MoveFilter {
  return first === undefined ? same : { ...same, address: { from: Number(first), to: Number(last ?? first) } };
}
