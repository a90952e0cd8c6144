/**
 * Breakpoint: which requests of a VM to hold and at which point. Plain data, which
 * `breakpointCondition` compiles to a function. Those on interrupts are in interrupt-breakpoint.ts.
 *
 * Called by: ArmedBreakpoints (armed-breakpoints.ts).
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { TYPE_NAMES, type DirectionName, type IoRequest } from '../io-request/io-request.js';
import { IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import { parseExpression, type Condition, type ExpressionSubject } from './breakpoint-expression.js';
import type { InterruptBreakpoint } from './interrupt-breakpoint.js';

/**
 * Where a request is held. `pending`: in state PENDING, before the client gets it. `complete`:
 * before it becomes COMPLETE, when the client has answered.
 */
export type HoldPoint = 'pending' | 'complete';

export type Breakpoint = RequestBreakpoint | InterruptBreakpoint;

/** All fields that are present must match. */
export interface RequestBreakpoint {
  readonly at: HoldPoint;
  /** The request's client. `hsm`: requests that the HSM answers itself; held at PENDING only. */
  readonly client?: string;
  readonly type?: IoRequest['type'];
  /**
   * An access with any byte in this range. Both ends are inclusive. PCI requests have no address.
   */
  readonly address?: { readonly from: number; readonly to: number };
  readonly direction?: DirectionName;
  readonly vcpu?: number;
  /** The written value, or the value that a read returns. A read at PENDING never matches. */
  readonly value?: number | bigint;
  /** See breakpoint-expression.ts. */
  readonly expression?: string;
}

/** The condition of a breakpoint. The caller checks `at`. Throws OPTION_INVALID. */
export function breakpointCondition(breakpoint: RequestBreakpoint): Condition {
  const { client, type, address, direction, vcpu, value, expression, at } = breakpoint;
  const conditions: Condition[] = [];
  if (vcpu !== undefined) {
    if (!(Number.isInteger(vcpu) && vcpu >= 0 && vcpu < SLOT_COUNT))
      throw invalid(`vCPU ${vcpu}`, `a number from 0 to ${SLOT_COUNT - 1}`);
    conditions.push((subject) => subject.vcpu === vcpu);
  }
  if (type !== undefined) {
    // The names are in the order of the numbers in IoRequestType.
    const wanted = TYPE_NAMES.indexOf(type);
    conditions.push((subject) => subject.type === wanted);
  }
  if (direction !== undefined) conditions.push(({ isRead }) => isRead === (direction === 'read'));
  if (address !== undefined) {
    if (!(Number.isSafeInteger(address.from) && Number.isSafeInteger(address.to) && address.from <= address.to))
      throw invalid(`the addresses ${address.from}…${address.to}`, 'the first and the last, in this order');
    conditions.push((subject) => touches(subject, BigInt(address.from), BigInt(address.to)));
  }
  if (client !== undefined) conditions.push((subject) => subject.client === client);
  if (value !== undefined) {
    if (typeof value !== 'bigint' && !Number.isSafeInteger(value))
      throw invalid(`the value ${value}`, 'a whole number');
    const wanted = BigInt.asUintN(64, BigInt(value));
    conditions.push((subject) => subject.value === wanted && !(at === 'pending' && subject.isRead));
  }
  if (expression !== undefined) conditions.push(parseExpression(expression));
  return (subject) => conditions.every((condition) => condition(subject));
}

function touches({ type, address, size }: ExpressionSubject, from: bigint, to: bigint): boolean {
  return type !== IoRequestType.PCI && address <= to && address + BigInt(size) > from;
}

function invalid(what: string, remedy: string): UpcallError {
  return new UpcallError('OPTION_INVALID', `invalid breakpoint: ${what}`, { remedy: `Give ${remedy}` });
}
