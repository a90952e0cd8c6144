/**
 * The thread of a vCPU: the shipped loop and I/O handler around a guest that reads one port after
 * the other.
 *
 * Called by: the explorer, as the main function of a thread (model.ts).
 */

import { IoHandler } from '../../hypervisor/io-handler.js';
import type { InterruptController } from '../../hypervisor/interrupt-lines.js';
import { MmioHandlerTable } from '../../hypervisor/mmio-handlers.js';
import { PortHandlerTable } from '../../hypervisor/port-handlers.js';
import { Upcall } from '../../hypervisor/upcall.js';
import { HALTED_FOREVER, runVcpu, type VcpuProgram } from '../../hypervisor/vcpu-loop.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { SharedBuffer } from '../../io-request/shared-buffer.js';
import { actorNote } from './actor-notes.js';
import { portOf, type VmHandles, type World } from './world.js';

/**
 * How long the guest halts. For the explorer that is forever, as is each wait from SAFETY_NET_MS on
 * (engine/machine/operation.ts).
 */
const HALT_MS = 100_000;

export function vcpuActor(world: World, vm: number, vcpu: number): void {
  const { plan } = world;
  const handles = world.vms[vm] as VmHandles;
  const shared = new VmSharedState(handles.shared);
  const handler = new IoHandler({
    vcpu,
    slot: new SharedBuffer(handles.page).slot(vcpu),
    upcall: new Upcall(world.upcall),
    shared,
    handlers: { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() },
    completionPolling: plan.isPolling,
  });
  const isInterrupted = vm === 0 && vcpu === 0 && plan.interrupts > 0;
  /** Accesses begun. */
  let asked = 0;
  /** The pins of the controller: bit n for line n. */
  let high = 0;
  const controller: InterruptController = {
    raise: (line) => {
      high |= 1 << line;
    },
    lower: (line) => {
      high &= ~(1 << line);
    },
  };
  const program: VcpuProgram = {
    start: () => actorNote('starts', vm, vcpu),
    run: () => {
      if (asked < plan.requests) {
        access();
        return 0;
      }
      if (isInterrupted) {
        shared.lines.deliver(controller);
        for (const line of plan.sources) if ((high & (1 << line)) === 0) return HALT_MS;
      }
      actorNote('ends', vm, vcpu);
      return HALTED_FOREVER;
    },
  };
  /** The accesses go to the clients in turn. Each vCPU begins with another client. */
  const access = (): void => {
    const port = portOf(vm, (asked + vcpu) % plan.clients.length, vcpu, asked);
    asked++;
    actorNote('asks', vm, vcpu, port);
    let isAnswered = false;
    try {
      const value = handler.portRead(port, 4);
      isAnswered = true;
      // Invariants compares it with a word of the page, which is signed.
      actorNote('got', vm, vcpu, port, value | 0);
    } finally {
      if (!isAnswered) actorNote('stopped', vm, vcpu);
    }
  };
  runVcpu({ vcpu, shared, program, loadRegisters: () => undefined, report: () => undefined });
}
