/**
 * ScriptWorld: the VMs that the commands of a conformance script act on. There are two kinds: bare
 * VMs (scripted-vms.ts), as in the recorded scripts, and the VM of an open file of /dev/acrn_hsm
 * (control-process.ts). The commands of slot-commands.ts and client-commands.ts act on the current
 * VM of either.
 */

import type { IoClient } from '../hsm/io-client.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { KernelClient } from './kernel-client.js';
import type { ScriptEvent, ScriptExtra, ScriptResult } from './script-answer.js';
import type { ScriptWords } from './script-words.js';

/** A VM as the commands see it. */
export interface ScriptVm {
  readonly id: number;
  readonly vcpus: number;
  readonly buffer: SharedBuffer;
  readonly requests: VmRequests;
}

/** The VMs of one script, and its own commands. The script's first command chooses the kind. */
export interface ScriptWorld {
  readonly module: HypervisorServiceModule;
  /** The current VM. */
  readonly vm: ScriptVm | undefined;
  /** Returns undefined if `op` is not one of its own commands. */
  command(op: string, words: ScriptWords, extra: ScriptExtra): ScriptResult | Promise<ScriptResult> | undefined;
  /** Called after each command: turns what happened in the background into events. */
  settle(): Promise<void> | undefined;
}

/** ScriptStage: what all commands of a script share. */
export class ScriptStage {
  /** Events of the current command, in order. */
  events: ScriptEvent[] = [];
  /** Result of the completion hypercall. The command `hcallfail` sets it. */
  notifyResult = 0;
  /** Whether all clients run while CLEAR sleeps. The command `onsleep` sets it. */
  runsInSleep = false;

  /** The completion hypercall. */
  notify(vm: number, vcpu: number): number {
    this.events.push({ notify: [vm, vcpu] });
    return this.notifyResult;
  }

  /** CLEAR's sleep, in which time passes for `vm` only. */
  sleep(ms: number, vm: ScriptVm | undefined): Promise<void> {
    this.events.push({ sleep: ms });
    if (this.runsInSleep && vm !== undefined) this.runAll(vm);
    return Promise.resolve();
  }

  runAll(vm: ScriptVm): void {
    for (const client of clientsOf(vm)) if (client instanceof KernelClient) client.run(vm.requests, this.events);
  }
}

/** Oldest first, the default client at the end. */
export function clientsOf({ requests }: ScriptVm): IoClient[] {
  const clients = [...requests.clients.all].reverse();
  if (requests.clients.default !== undefined) clients.push(requests.clients.default);
  return clients;
}
