/**
 * Fault selector: whether a rule (RequestFault in fault-rule.ts) selects a request.
 *
 * Called by: FaultInjection for each request and rule, and for names; FaultyClient and FaultyDisk.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import { directionName, joinWords, typeName } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import type { RequestFault, Span } from './fault-rule.js';

/** The fields that selectors read. */
export type SelectedRequest = Pick<
  AssignedRequest,
  'vcpu' | 'type' | 'direction' | 'addressLow' | 'addressHigh' | 'size' | 'bus' | 'device' | 'pciFunction' | 'register'
>;

export function selects(rule: RequestFault, client: string, request: SelectedRequest): boolean {
  const isPci = request.type === IoRequestType.PCI;
  return (
    (rule.vcpu === undefined || rule.vcpu === request.vcpu) &&
    (rule.type === undefined || rule.type === typeName(request.type)) &&
    (rule.direction === undefined || rule.direction === directionName(request.direction)) &&
    (rule.size === undefined || rule.size === request.size) &&
    (rule.address === undefined || (!isPci && touches(rule.address, addressOf(request), request.size))) &&
    (rule.bus === undefined || rule.bus === request.bus) &&
    (rule.device === undefined || rule.device === request.device) &&
    (rule.function === undefined || rule.function === request.pciFunction) &&
    (rule.register === undefined || (isPci && touches(rule.register, request.register, request.size))) &&
    // Only a read can return a stale value.
    (rule.effect.kind !== 'stale' || directionName(request.direction) === 'read') &&
    (rule.client === undefined || isNamed(rule.client, client))
  );
}

/** The key of an address of one client, for stale values. */
export function addressKey(client: string, request: SelectedRequest): string {
  const { bus, device, pciFunction, register } = request;
  const where =
    request.type === IoRequestType.PCI ? [bus, device, pciFunction, register].join('.') : addressOf(request);
  return `${client} ${request.type} ${where}/${request.size}`;
}

function addressOf(request: SelectedRequest): number {
  return joinWords(request.addressLow, request.addressHigh);
}

export function touches(span: Span, address: number, size: number): boolean {
  return address <= span.last && address + size - 1 >= span.first;
}

/** Whether `name` matches `pattern`, in which `*` stands for any characters. */
export function isNamed(pattern: string, name: string): boolean {
  if (!pattern.includes('*')) return pattern === name;
  const [head = '', ...rest] = pattern.split('*');
  if (!name.startsWith(head)) return false;
  let at = head.length;
  const tail = rest.pop() ?? '';
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - tail.length >= at && name.endsWith(tail);
}
