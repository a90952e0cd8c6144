/**
 * KernelClient: the I/O client of a conformance script. In Linux' driver a client in the kernel has
 * a thread of its own. Here its requests wait until the script's `run` or `runall`. The commands
 * `client` and `mode` choose what its handler does.
 *
 * Called by: client-commands.ts and ScriptStage (script-world.ts); the HSM with requests.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import type { VmRequests } from '../hsm/vm-requests.js';

const LOW_WORD = 0xffff_ffffn;

/** What a client's handler does with a request. */
export type HandlerMode =
  /** Answers with the request's address, `ok` in scripts. A write ignores the answer. */
  | { readonly kind: 'address' }
  | { readonly kind: 'value'; readonly value: bigint }
  /** The handler returns −errno and the request stays, unless `errno` is 0. */
  | { readonly kind: 'fail'; readonly errno: number };

export type KernelClientEvent =
  { readonly handle: string; readonly vcpu: number; readonly type: number } | { readonly log: 'handler-failed' };

export class KernelClient implements IoClient {
  readonly name: string;
  mode: HandlerMode;
  /** By slot: its last request, and the number of its assignment, which the answer must name. */
  readonly #waiting = new Map<number, { readonly request: AssignedRequest; readonly ticket: number }>();

  constructor(name: string, mode: HandlerMode) {
    this.name = name;
    this.mode = mode;
  }

  notify(request: AssignedRequest): void {
    this.#waiting.set(request.vcpu, { request, ticket: request.ticket });
  }

  /**
   * Handles requests, lowest slot first, until none is pending or the handler fails. `fail 0` does
   * not fail: it completes the request with the value that is there.
   */
  run(requests: VmRequests, events: { push(event: KernelClientEvent): unknown }): void {
    // This ends: each `finish` ends an assignment, and scripts have no gate that holds answers.
    for (;;) {
      const bits = requests.assignments.slotsOf(this);
      if (bits === 0) return;
      // The index of the lowest bit.
      const vcpu = 31 - Math.clz32(bits & -bits);
      const waiting = this.#waiting.get(vcpu);
      if (waiting === undefined) throw new Error(`${this.name} was never given slot ${vcpu}`);
      const { request, ticket } = waiting;
      events.push({ handle: this.name, vcpu, type: request.type });
      const { mode } = this;
      if (mode.kind === 'fail' && mode.errno > 0) {
        events.push({ log: 'handler-failed' });
        return;
      }
      if (mode.kind === 'value')
        request.finish(ticket, Number(mode.value & LOW_WORD) | 0, Number((mode.value >> 32n) & LOW_WORD) | 0);
      else if (mode.kind === 'address') request.finish(ticket, request.addressLow, request.addressHigh);
      else request.finish(ticket, request.valueLow, request.valueHigh);
    }
  }
}
