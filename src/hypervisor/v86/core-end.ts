/**
 * The end of a core, as typed errors: brought down by its guest, or by a fault of its own.
 *
 * The core has no shutdown state. Where a CPU would shut down, and where it lacks a feature, it
 * panics: it logs a message and executes a WebAssembly trap. It can be reset after that.
 */

import { hex } from '../../io-request/io-request.js';
import { GeneralProtection } from '../io-handler.js';
import { TripleFault } from '../vcpu-loop.js';

/** The core gave up for a reason that a CPU does not have. */
export class CoreCrashed extends Error {
  override readonly name = 'CoreCrashed';
}

/**
 * The core's panic message when it cannot deliver an exception or interrupt: the IDT has no usable
 * gate for it. A CPU would try a #GP and a double fault next. As a rule a guest without a gate for
 * the first exception has no gate for those either.
 */
const NO_GATE = /#(?:GP|NP|SS|TS) handler/;

/**
 * The error to throw for one that came out of the core. Errors that are not the core's own pass
 * unchanged.
 */
export function explainEnd(error: unknown, lastMessage: string, instructionPointer: number): unknown {
  const where = `at EIP ${hex(instructionPointer, 8)}`;
  // The access was the core's own, while it entered a handler: the guest's stack is in device
  // memory.
  if (error instanceof GeneralProtection)
    return new TripleFault(`the guest's stack could not take an exception ${where} (${error.message})`);
  if (!(error instanceof WebAssembly.RuntimeError)) return error;
  const said = lastMessage === '' ? error.message : lastMessage.trim().replace(/\s+/g, ' ');
  if (NO_GATE.test(lastMessage)) return new TripleFault(`triple fault: the guest shut its CPU down ${where} (${said})`);
  return new CoreCrashed(`the v86 core stopped ${where}: ${said}`, { cause: error });
}
