/**
 * VM_INTR_MONITOR and PM_GET_CPU_STATE: ioctls that only a hypervisor on real hardware can answer.
 * The first gives the hypervisor a page for counts of the VM's interrupts. The second reads the
 * P-states (frequencies) and C-states (idle states) of the physical CPUs.
 *
 * Called by: HsmFile. All results are those of the ioctl: 0 or more, or −errno.
 */

import { PAGE_BYTES } from '../io-request/layout.js';
import { sharedBytes, type AddressSpace } from './address-space.js';
import { Errno } from '../io-request/errno.js';
import type { Hardware } from './hardware.js';
import { CSTATE_DATA, PSTATE_DATA } from './struct-layout.js';

const COMMAND_MASK = 0xffn;
const COMMAND_BYTES = 8;
const COUNT_BYTES = 8;
/**
 * The result's size by command, which is the low byte of the argument: 0 number of P-states
 * (PX_CNT), 1 one P-state (PX_DATA), 2 number of C-states (CX_CNT), 3 one C-state (CX_DATA). The
 * other bytes are for the hypervisor: bits 8…15 are the number of the state, 16…23 the vCPU and
 * 24…31 the VM.
 */
const RESULT_BYTES = [COUNT_BYTES, PSTATE_DATA.bytes, COUNT_BYTES, CSTATE_DATA.bytes];

/** VM_INTR_MONITOR: offers the caller's page to the hypervisor, which keeps it if it accepts. */
export function monitorInterrupts(vmId: number, caller: AddressSpace, hardware: Hardware, address: bigint): number {
  const page = sharedBytes(PAGE_BYTES);
  // The driver takes the whole page around the address.
  const start = address - (address % BigInt(PAGE_BYTES));
  if (!caller.read(start, page)) return Errno.EFAULT;
  const result = hardware('interrupt-monitor', vmId, page);
  if (result < 0) return result;
  // `share` copies the caller's bytes to `page`: they must have what the hypervisor has written.
  return caller.write(start, page) && caller.share(start, page) ? result : Errno.EFAULT;
}

/**
 * PM_GET_CPU_STATE: the caller's u64 is the command, and the result overwrites it. An unknown
 * command returns 0 and does nothing.
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
