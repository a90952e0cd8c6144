/**
 * ScriptedVms: the bare VMs that a conformance script creates with `vm`. Each is a page of slots
 * and the HSM's VmRequests. There is no hypervisor: the script fills and frees slots itself.
 *
 * Called by: HsmScript (hsm-script.ts), if a script begins with `vm`.
 */

import { HypervisorServiceModule } from '../hsm/service-module.js';
import { VmRequests } from '../hsm/vm-requests.js';
import { Upcall } from '../hypervisor/upcall.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import type { ScriptWords } from './script-words.js';
import type { ScriptStage, ScriptVm, ScriptWorld } from './script-world.js';

/** ACRN_INVALID_VMID, less 1. */
const MAX_VM_ID = 0xfffe;

export class ScriptedVms implements ScriptWorld {
  readonly module = new HypervisorServiceModule({ upcall: new Upcall(), turn: () => Promise.resolve() });
  readonly #stage: ScriptStage;
  readonly #vms = new Map<number, ScriptVm>();
  #current: ScriptVm | undefined;

  constructor(stage: ScriptStage) {
    this.#stage = stage;
  }

  get vm(): ScriptVm | undefined {
    return this.#current;
  }

  command(op: string, words: ScriptWords): number | undefined {
    if (op === 'vm') return this.#create(words);
    return op === 'use' ? this.#use(words) : undefined;
  }

  settle(): undefined {
    return undefined;
  }

  #create(words: ScriptWords): number {
    const id = words.integer("the VM's ID", 0, MAX_VM_ID);
    const vcpus = words.integer('how many vCPUs', 1, SLOT_COUNT);
    words.end();
    if (this.#vms.has(id)) throw words.error(`there is a VM ${id} already`);
    const stage = this.#stage;
    const buffer = new SharedBuffer();
    const requests = new VmRequests({
      vmId: id,
      buffer,
      hypercalls: { vcpuCount: vcpus, notifyRequestFinish: (vcpu) => stage.notify(id, vcpu) },
      observer: { event: ({ kind }) => stage.events.push({ log: kind }) },
      clientTimeoutMs: Infinity,
      sleep: (ms) => stage.sleep(ms, vm),
    });
    const vm: ScriptVm = { id, vcpus, buffer, requests };
    this.#vms.set(id, vm);
    this.module.addVm(requests);
    this.#current = vm;
    return 0;
  }

  #use(words: ScriptWords): number {
    const id = words.integer("the VM's ID", 0, MAX_VM_ID);
    words.end();
    const vm = this.#vms.get(id);
    if (vm === undefined) throw words.error(`there is no VM ${id}`);
    this.#current = vm;
    return 0;
  }
}
