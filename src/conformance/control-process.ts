/**
 * ControlProcess: the process of a conformance script that uses /dev/acrn_hsm, and the hypervisor
 * and HSM behind it.
 *
 * The command `ioctl` makes a call, and `user` does everything else. No worker runs by itself: the
 * script's `upcall` makes one pass.
 *
 * Called by: HsmScript (hsm-script.ts), if a script begins with `ioctl` or `user`.
 */

import { HsmDevice } from '../acrn-hsm/hsm-device.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import { hex } from '../io-request/io-request.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import { ioctlCall, isWrittenBack } from './control-ioctls.js';
import { HandDrivenHypervisor, type AcceptedHypercall } from './hand-driven-hypervisor.js';
import { hexBytes, type ScriptExtra, type ScriptResult } from './script-answer.js';
import { EVENTS, LocalProcess, PAGE, SEGMENT_BYTES, type ScriptProcess } from './script-process.js';
import type { ScriptWords } from './script-words.js';
import type { ScriptStage, ScriptVm, ScriptWorld } from './script-world.js';

/** The options of each VM: as much RAM as the process has memory for. */
export const SCRIPT_VM = { memoryBytes: SEGMENT_BYTES, vcpuCount: 4 } as const;

/** What a machine reports to its script. */
export interface MachineHooks {
  /** An accepted hypercall. Returns its result. */
  readonly onHypercall: (call: AcceptedHypercall) => number;
  readonly onVm: (vm: UserVm) => void;
  /** CLEAR's sleep. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly onSignal: (fd: number) => void;
}

/** What a script's process runs on. */
export interface ScriptMachine {
  readonly hypervisor: HandDrivenHypervisor;
  /** Its worker is paused. */
  readonly module: HypervisorServiceModule;
  readonly process: ScriptProcess;
}

export class ControlProcess implements ScriptWorld {
  readonly #stage: ScriptStage;
  readonly #machine: ScriptMachine;

  constructor(stage: ScriptStage, createMachine: (hooks: MachineHooks) => ScriptMachine = localMachine) {
    this.#stage = stage;
    this.#machine = createMachine({
      onHypercall: (call) => this.#record(call),
      // The driver's log has no line for the end of a VM.
      onVm: (vm) => vm.onEvent(({ kind }) => kind !== 'ended' && stage.events.push({ log: kind })),
      sleep: (ms) => stage.sleep(ms, this.vm),
      onSignal: (fd) => stage.events.push({ signal: fd }),
    });
  }

  get module(): HypervisorServiceModule {
    return this.#machine.module;
  }

  get vm(): ScriptVm | undefined {
    const { hypervisor, process } = this.#machine;
    const { vm } = process.file;
    const created = hypervisor.vms.find((candidate) => candidate === vm?.hypercalls);
    if (vm === undefined || created === undefined) return undefined;
    return { id: vm.id, vcpus: created.vcpuCount, buffer: created.buffer, requests: vm.requests };
  }

  command(op: string, words: ScriptWords, extra: ScriptExtra): ScriptResult | Promise<ScriptResult> | undefined {
    if (op === 'ioctl') return this.#ioctl(words, extra);
    return op === 'user' ? this.#user(words) : undefined;
  }

  settle(): Promise<void> | undefined {
    const { process } = this.#machine;
    const returned = process.returned();
    const signals = process.signals?.();
    if (returned === undefined && signals === undefined) return undefined;
    return Promise.all([returned, signals]).then(([results = [], fds = []]) => {
      for (const signal of fds) this.#stage.events.push({ signal });
      for (const attach of results) this.#stage.events.push({ attach });
    });
  }

  #ioctl(words: ScriptWords, extra: ScriptExtra): ScriptResult | Promise<ScriptResult> {
    const { code, argument } = ioctlCall(words, PAGE);
    const { hypervisor, process } = this.#machine;
    const { file } = process;
    // Forget destroyed VMs: a script cannot use them, and it may create many.
    if (file.vm === undefined) hypervisor.vms.length = 0;
    const hadClient = file.ioctlVm?.userspace !== undefined;
    const result = process.ioctl(code, argument);
    const finish = (number: ScriptResult): ScriptResult => {
      // The driver queues its worker after it has destroyed a client.
      if (code === Ioctl.DESTROY_IOREQ_CLIENT && hadClient) this.module.worker.pass();
      if (typeof argument !== 'bigint' && isWrittenBack(code)) extra.argument = hexBytes(argument);
      return number;
    };
    return typeof result === 'object' ? result.then(finish) : finish(result);
  }

  #user(words: ScriptWords): number | Promise<number> {
    const { process } = this.#machine;
    const act = words.oneOf('what the process does', ['signal', 'read', 'close', 'interrupt', 'reopen']);
    if (act === 'interrupt' || act === 'reopen') {
      words.end();
      return process[act]();
    }
    const fd = words.integer('a descriptor', 0, EVENTS - 1);
    words.end();
    return process.useEvent(act, fd);
  }

  /** Each accepted hypercall is an event of the script. */
  #record(call: AcceptedHypercall): number {
    const { events } = this.#stage;
    if (call.kind === 'notify') return this.#stage.notify(this.#machine.process.file.vm?.id ?? 0, call.vcpu);
    if (call.kind === 'regs') events.push({ regs: call.vcpu });
    else if (call.kind === 'line') events.push({ line: [call.gsi, call.operation] });
    else events.push({ msi: [hex(call.address), hex(call.data)] });
    return 0;
  }
}

/** A machine inside this process. */
export function localMachine({ onHypercall, onVm, sleep, onSignal }: MachineHooks): ScriptMachine & {
  readonly process: LocalProcess;
} {
  const hypervisor = new HandDrivenHypervisor(onHypercall);
  const serviceVm = new ServiceVm(hypervisor);
  serviceVm.module.worker.pause();
  const device = new HsmDevice(serviceVm, { ...SCRIPT_VM, onVm, sleep });
  return { hypervisor, module: serviceVm.module, process: new LocalProcess(device, onSignal) };
}
