/**
 * Whether this machine's KVM can run an operating system. Where it has neither VT-x nor AMD-V, it
 * emulates the code of a guest's kernel, and its emulator lacks instructions that every kernel
 * uses. The probe is a VM whose vCPU executes one of them, CMPXCHG16B, in 64-bit mode.
 *
 * Called by: KvmHypervisor. docs/kvm.md has the machines.
 *
 * A processor executes the instruction itself. So a failure to emulate it is certain; anything else
 * says nothing against the machine.
 */

import { longModeStart } from '../boot/long-mode-start.js';
import { FreeMemory } from '../boot/free-memory.js';
import { loadPlan } from '../boot/load-plan.js';
import type { Limitation } from '../hypervisor.js';
import { EMULATION, EMULATION_REMEDY } from './exit-text.js';
import { Bytes, ExitReason, Request, Retry } from './kvm-abi.js';
import { KvmMachine } from './kvm-machine.js';
import { KvmRun } from './kvm-run.js';
import type { Kernel } from './kernel.js';
import { generalRegisters, setSystemRegisters } from './start-state.js';

const MIB = 2 ** 20;
const CODE = 0x1000;
const OPERAND = 0x2000;
/** cmpxchg16b [rsi]; out 0x80, al. */
const INSTRUCTIONS = Uint8Array.of(0x48, 0x0f, 0xc7, 0x0e, 0xe6, 0x80);
/** A signal interrupts KVM_RUN, which is then called again. */
const MAX_RUNS = 16;

/** `kvm`: the descriptor of /dev/kvm. Undefined if nothing is known against operating systems. */
export function probeSystem(kernel: Kernel, kvm: number): Limitation | undefined {
  let machine: KvmMachine;
  try {
    machine = new KvmMachine(kernel, kvm, {
      name: 'probe',
      memoryBytes: MIB,
      vcpuCount: 1,
      completionPolling: false,
    });
  } catch {
    // The creation of the real VM reports it.
    return undefined;
  }
  try {
    return isEmulated(kernel, machine)
      ? {
          reason:
            "this machine's KVM emulates the guest's kernel, and cannot emulate an instruction that every kernel uses (CMPXCHG16B)",
          remedy: EMULATION_REMEDY,
        }
      : undefined;
  } finally {
    machine.close(true);
  }
}

function isEmulated(kernel: Kernel, machine: KvmMachine): boolean {
  const { descriptor, run: page, runBytes } = machine.handleOf(0);
  const code = { what: 'probe', address: CODE, bytes: INSTRUCTIONS };
  const operand = { what: 'operand', address: OPERAND, bytes: new Uint8Array(16) };
  const { pieces, registers } = longModeStart(new FreeMemory(MIB, [code, operand]));
  const start = loadPlan(
    { pieces: [...pieces, code, operand], registers: { ...registers, ip: CODE, esi: OPERAND } },
    machine.memory,
  );
  const sregs = kernel.read(descriptor, Request.GET_SREGS, Bytes.SREGS);
  setSystemRegisters(sregs, start);
  kernel.call(descriptor, Request.SET_SREGS, sregs);
  kernel.call(descriptor, Request.SET_REGS, generalRegisters(start));
  for (let runs = 0; runs < MAX_RUNS; runs++) {
    const result = kernel.calls.ioctl(descriptor, Request.RUN, 0);
    if (result === -Retry.EINTR || result === -Retry.EAGAIN) continue;
    const run = new KvmRun(page, runBytes);
    return result >= 0 && run.reason === ExitReason.INTERNAL_ERROR && run.internalError.kind === EMULATION;
  }
  return false;
}
