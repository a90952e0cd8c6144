/**
 * ControlProcess: the process of a conformance script that uses /dev/acrn_hsm.
 *
 * It has memory, eventfds and an open file. The command `ioctl` makes a call, and `user` does
 * everything else. No worker runs by itself: the script's `upcall` makes one pass.
 *
 * Called by: HsmScript (hsm-script.ts), if a script begins with `ioctl` or `user`.
 */

import { MappedMemory, sharedBytes } from '../acrn-hsm/address-space.js';
import { Errno } from '../io-request/errno.js';
import { LocalEventTable } from '../acrn-hsm/event-table.js';
import { HsmDevice } from '../acrn-hsm/hsm-device.js';
import type { HsmFile } from '../acrn-hsm/hsm-file.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { LocalEvent } from '../hsm/event-object.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { ServiceVm } from '../vm/service-vm.js';
import { ioctlCall, isWrittenBack } from './control-ioctls.js';
import { HandDrivenHypervisor, type AcceptedHypercall } from './hand-driven-hypervisor.js';
import { hex } from '../io-request/io-request.js';
import { hexBytes, type ScriptExtra, type ScriptResult } from './script-answer.js';
import type { ScriptWords } from './script-words.js';
import type { ScriptStage, ScriptVm, ScriptWorld } from './script-world.js';

/**
 * Addresses in the process: its page of slots, the structures of ioctls, the memory for RAM
 * segments. Nothing else is mapped.
 */
const PAGE = 0x1_0000n;
const ARGUMENT = 0x2_0000n;
const SEGMENTS = 0x10_0000n;
const SEGMENT_BYTES = 16 * PAGE_BYTES;
/** As much RAM as the process has memory for. */
const GUEST_BYTES = SEGMENT_BYTES;
const VCPUS = 4;
/** Descriptors 0…3 are events, 4 is something else, and no other is open. */
const EVENTS = 4;
/** As errno.h has it on x86. Reading an eventfd that was not signalled. */
const EAGAIN = -11;

export class ControlProcess implements ScriptWorld {
  readonly #stage: ScriptStage;
  readonly #memory = new MappedMemory();
  readonly #descriptors = new LocalEventTable();
  readonly #events = Array.from({ length: EVENTS }, () => new LocalEvent());
  readonly #hypervisor: HandDrivenHypervisor;
  readonly #serviceVm: ServiceVm;
  readonly #device: HsmDevice;
  #file: HsmFile;
  /** `user interrupt`: interrupts the calls that wait, as a signal to the process does. */
  #signal = new AbortController();
  /** ATTACH calls that wait, and the results of those that returned since the last command. */
  #waiting = 0;
  #returned: number[] = [];

  constructor(stage: ScriptStage) {
    this.#stage = stage;
    for (const [start, bytes] of [
      [PAGE, PAGE_BYTES],
      [ARGUMENT, PAGE_BYTES],
      [SEGMENTS, SEGMENT_BYTES],
    ] as const)
      this.#memory.map(start, sharedBytes(bytes));
    this.#events.forEach((event, fd) => {
      this.#descriptors.open(event);
      event.onSignal(() => stage.events.push({ signal: fd }));
    });
    this.#descriptors.open();
    this.#hypervisor = new HandDrivenHypervisor((call) => this.#record(call));
    this.#serviceVm = new ServiceVm(this.#hypervisor);
    this.#serviceVm.module.worker.pause();
    this.#device = new HsmDevice(this.#serviceVm, {
      memoryBytes: GUEST_BYTES,
      vcpuCount: VCPUS,
      // The driver's log has no line for the end of a VM.
      onVm: (vm) => vm.onEvent(({ kind }) => kind !== 'ended' && stage.events.push({ log: kind })),
      sleep: (ms) => stage.sleep(ms, this.vm),
    });
    this.#file = this.#open();
  }

  get module(): HypervisorServiceModule {
    return this.#serviceVm.module;
  }

  get vm(): ScriptVm | undefined {
    const { vm } = this.#file;
    const created = this.#hypervisor.vms.find((candidate) => candidate === vm?.hypercalls);
    if (vm === undefined || created === undefined) return undefined;
    return { id: vm.id, vcpus: created.vcpuCount, buffer: created.buffer, requests: vm.requests };
  }

  command(op: string, words: ScriptWords, extra: ScriptExtra): ScriptResult | Promise<ScriptResult> | undefined {
    if (op === 'ioctl') return this.#ioctl(words, extra);
    return op === 'user' ? this.#user(words) : undefined;
  }

  /** Calls that wait in ATTACH return one turn of the event loop after the command. */
  settle(): Promise<void> | undefined {
    if (this.#waiting === 0 && this.#returned.length === 0) return undefined;
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      for (const attach of this.#returned.splice(0)) this.#stage.events.push({ attach });
    });
  }

  #ioctl(words: ScriptWords, extra: ScriptExtra): ScriptResult | Promise<ScriptResult> {
    const { code, argument } = ioctlCall(words, PAGE);
    if (typeof argument !== 'bigint') this.#memory.write(ARGUMENT, argument);
    const address = typeof argument === 'bigint' ? argument : ARGUMENT;
    const file = this.#file;
    // Forget destroyed VMs: a script cannot use them, and it may create many.
    if (file.vm === undefined) this.#hypervisor.vms.length = 0;
    const hadClient = file.ioctlVm?.userspace !== undefined;
    const result = file.ioctl(code, address, this.#signal.signal);
    if (code === Ioctl.ATTACH_IOREQ_CLIENT) return this.#attach(result);
    // The driver queues its worker after it has destroyed a client.
    if (code === Ioctl.DESTROY_IOREQ_CLIENT && hadClient) this.module.worker.pass();
    if (typeof argument === 'bigint' || !isWrittenBack(code)) return result;
    return Promise.resolve(result).then((number) => {
      this.#memory.read(ARGUMENT, argument);
      extra.argument = hexBytes(argument);
      return number;
    });
  }

  #attach(result: number | Promise<number>): ScriptResult {
    if (typeof result === 'number') return result;
    this.#waiting++;
    void result.then((returned) => {
      this.#waiting--;
      this.#returned.push(returned);
    });
    return 'waits';
  }

  #user(words: ScriptWords): number | Promise<number> {
    const act = words.oneOf('what the process does', ['signal', 'read', 'close', 'interrupt', 'reopen']);
    if (act === 'signal' || act === 'read' || act === 'close') return this.#useEvent(act, words);
    words.end();
    if (act === 'reopen') return this.#reopen();
    this.#signal.abort();
    this.#signal = new AbortController();
    return 0;
  }

  #useEvent(act: 'signal' | 'read' | 'close', words: ScriptWords): number {
    const fd = words.integer('a descriptor', 0, EVENTS - 1);
    words.end();
    const event = this.#events[fd];
    if (event === undefined || typeof this.#descriptors.lookup(fd) === 'number') return Errno.EBADF;
    if (act === 'signal') event.signal();
    else if (act === 'read') return event.isReadable ? Number(event.read()) : EAGAIN;
    else {
      this.#descriptors.close(fd);
      event.close();
    }
    return 0;
  }

  async #reopen(): Promise<number> {
    await this.#file.close();
    this.#file = this.#open();
    return 0;
  }

  #open(): HsmFile {
    return this.#device.open(this.#memory, this.#descriptors);
  }

  /** Each accepted hypercall is an event of the script. */
  #record(call: AcceptedHypercall): number {
    const { events } = this.#stage;
    if (call.kind === 'notify') return this.#stage.notify(this.#file.vm?.id ?? 0, call.vcpu);
    if (call.kind === 'regs') events.push({ regs: call.vcpu });
    else if (call.kind === 'line') events.push({ line: [call.gsi, call.operation] });
    else events.push({ msi: [hex(call.address), hex(call.data)] });
    return 0;
  }
}
