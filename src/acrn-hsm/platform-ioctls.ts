/**
 * VM_INTR_MONITOR and PM_GET_CPU_STATE: ioctls that only a hypervisor on real hardware can answer.
 */

import { PAGE_BYTES } from '../io-request/layout.js';
import { sharedBytes, type AddressSpace } from './address-space.js';
import { Errno } from '../io-request/errno.js';
import type { Hardware } from './hardware.js';
import { CSTATE_DATA, PSTATE_DATA } from './struct-layout.js';

const COMMAND_MASK = 0xffn;
const COMMAND_BYTES = 8;
const COUNT_BYTES = 8;
/** The result's size for each command: PX_CNT, PX_DATA, CX_CNT, CX_DATA. */
const RESULT_BYTES = [COUNT_BYTES, PSTATE_DATA.bytes, COUNT_BYTES, CSTATE_DATA.bytes];

/** Offers the caller's page to the hypervisor, which keeps it if it accepts. */
export function monitorInterrupts(vmId: number, caller: AddressSpace, hardware: Hardware, address: bigint): number {
  const page = sharedBytes(PAGE_BYTES);
  // The driver takes the whole page around the address.
  const start = address - (address % BigInt(PAGE_BYTES));
  if (!caller.read(start, page)) return Errno.EFAULT;
  const result = hardware('interrupt-monitor', vmId, page);
  if (result >= 0 && !caller.share(start, page)) return Errno.EFAULT;
  return result;
}

/**
 * The caller's u64 is the command; the result overwrites it. An unknown command returns 0 and does
 * nothing.
 */
export function cpuState(vmId: number, caller: AddressSpace, hardware: Hardware, address: bigint): number {
  const command = new Uint8Array(COMMAND_BYTES);
  if (!caller.read(address, command)) return Errno.EFAULT;
  const value = new DataView(command.buffer).getBigUint64(0, true);
  const bytes = RESULT_BYTES[Number(value & COMMAND_MASK)];
  if (bytes === undefined) return 0;
  const state = new Uint8Array(bytes);
  const result = hardware('cpu-state', vmId, state, value);
  if (result < 0) return result;
  return caller.write(address, state) ? result : Errno.EFAULT;
}
