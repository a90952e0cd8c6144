/**
 * Starts the thread of one vCPU, and turns what the thread reports and how it ends into the events
 * of its VM.
 *
 * Called by: ThreadedVm, for each vCPU.
 * Threads: the Service VM's. The other side is vcpu-thread.ts.
 */

import { host } from '../host/current.js';
import type { HostThread } from '../host/host.js';
import { messageWithPlace } from '../io-request/author-frame.js';
import { errorText } from '../io-request/error-text.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { Deferred } from '../sync/deferred.js';
import { GuestMemory } from './guest-memory.js';
import type { CompletedWrites } from './async-io.js';
import type { ReservedRange } from './hypercalls.js';
import type { MessageEvents } from './message-events.js';
import type { HypervisorEvent, VmConfig } from './hypervisor.js';
import type { SavedVcpu } from './saved-vcpu.js';
import { StartRegisters } from './start-registers.js';
import type { Upcall } from './upcall.js';
import type { VcpuThreadData, VcpuThreadMessage } from './vcpu-thread.js';
import { VcpuState, VmState, type VmSharedState } from './vm-shared-state.js';
import type { WriteLog } from './write-log.js';

/** What a hypervisor has of a VM outside of its vCPUs' threads, such as a VM of the kernel. */
export interface VmMachine {
  /** The descriptor of a VM of the kernel that has the interrupt controllers (line-pins.ts). */
  readonly kernelVm: number;
  /**
   * Makes vCPU `vcpu` leave the guest, now or as soon as it has entered it: the VM's state has
   * changed, or a hold begins. Must be cheap if the vCPU is not in the guest.
   */
  kick(vcpu: number): void;
  /** Delivers an interrupt message. Both are u32, and the address is one of interrupt messages. */
  message(address: number, data: number): void;
  /** Completes writes of asynchronous I/O before their vCPU's thread. Default: nothing does. */
  readonly events?: CompletedWrites;
  /** As Hypercalls.messageEvents. */
  readonly messageEvents?: MessageEvents;
  /** As Hypercalls.writeLog. */
  readonly writeLog?: WriteLog;
  /**
   * The vCPUs, which are parked, are about to run, and the lines have their levels. Throws
   * UpcallError if a state to start from cannot be set.
   */
  starting(): void;
  /** The states of all vCPUs, which are held. Throws UpcallError. */
  save(): readonly SavedVcpu[];
  /** Brings all vCPUs, which are parked, and the controllers to their power-on state. */
  reset(): void;
  /** The threads have ended. `isIdle`: no other thread can use `kernelVm` any more. */
  close(isIdle: boolean): void;
}

/** What the threads of one VM are started with. */
export interface ThreadedVmOptions {
  /** These two as in Hypercalls. */
  readonly reservedRanges?: readonly ReservedRange[];
  readonly addressBits?: number;
  readonly config: VmConfig;
  readonly buffer: SharedBuffer;
  readonly upcall: Upcall;
  readonly onEvent: (event: HypervisorEvent) => void;
  /** The thread's entry file, one that calls `serveVcpu`. */
  readonly entry: { readonly href: string };
  /** What the entry file of vCPU `vcpu` gets as VcpuContext.program. */
  readonly program: (vcpu: number) => unknown;
  /** The guest memory. Default: vCPU 0's core brings it. */
  readonly memory?: GuestMemory;
  /** Called with what a vCPU's program passes to VcpuContext.report. Default: it is dropped. */
  readonly onReport?: (vcpu: number, report: unknown) => void;
  /** Whether the vCPUs can trap stores to the page of RAM at `address`. Default: they trap none. */
  readonly canProtect?: (address: number) => boolean;
  /** Default: interrupt controllers and all other state are in the vCPUs' threads. */
  readonly machine?: VmMachine;
  /** Whether the vCPUs' programs have `save`. Default: false. */
  readonly canSave?: boolean;
}

/** What most often keeps a thread from starting. */
const LIMITS = 'Check the limits of threads, open files and memory (ulimit -a), or give the VM fewer vCPUs';

/** The thread of one vCPU. */
export interface ThreadedVcpu {
  readonly handle: HostThread;
  readonly registers: StartRegisters;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<unknown>;
}

/**
 * `ready` resolves when the vCPU is built, with the guest memory if its core brings it. The thread
 * parks next. `ready` rejects with UpcallError if the vCPU cannot be built. Throws THREAD_FAILED if
 * no thread can be started.
 */
export function startVcpuThread(
  options: ThreadedVmOptions,
  shared: VmSharedState,
  vcpu: number,
  onHeld: (hold: number, state: SavedVcpu) => void = () => undefined,
): { thread: ThreadedVcpu; ready: Promise<GuestMemory | undefined> } {
  const { config, onEvent } = options;
  const registers = new StartRegisters();
  const data: VcpuThreadData = {
    vcpu,
    vcpuCount: config.vcpuCount,
    page: options.buffer.page,
    upcall: options.upcall.buffer,
    shared: shared.handle,
    registers: registers.buffer,
    completionPolling: config.completionPolling,
    interceptPci: config.interceptPci ?? false,
    spinUs: config.spinUs,
    wakesApart: config.waker?.isOn === true,
    cpu: config.cpuOf?.(vcpu),
    program: options.program(vcpu),
  };
  const thread = `the thread of vCPU ${vcpu} of VM ${config.name}`;
  let isReady = false;
  const ready = new Deferred<GuestMemory | undefined>();
  const ended = new Deferred<undefined>();
  const onMessage = (message: VcpuThreadMessage): void => {
    switch (message.kind) {
      case 'ready':
        isReady = true;
        ready.resolve(message.memory === undefined ? undefined : new GuestMemory(message.memory));
        break;
      case 'failed': {
        const { code, remedy } = message;
        ready.reject(new UpcallError(code, message.message, remedy === undefined ? {} : { remedy }));
        break;
      }
      case 'event':
        // A halt of a start that a reset has ended meanwhile: the vCPU runs again.
        if (message.event.kind === 'halted' && message.start !== shared.starts) break;
        onEvent(message.event);
        break;
      case 'report':
        options.onReport?.(vcpu, message.report);
        break;
      case 'held':
        onHeld(message.hold, message.state);
    }
  };
  let hasFailed = false;
  const onError = (error: Error): void => {
    const { message, stack } = errorText(error);
    hasFailed = true;
    if (isReady)
      onEvent({
        kind: 'crashed',
        vcpu,
        message: `${thread} failed: ${message}`,
        ...(stack === undefined ? {} : { stack }),
      });
    else
      ready.reject(
        new UpcallError('THREAD_FAILED', `${thread} failed: ${messageWithPlace(message, stack)}`, {
          // Otherwise the vCPU's own code has failed.
          ...('code' in error && String(error.code).startsWith('ERR_WORKER') ? { remedy: LIMITS } : {}),
          cause: error,
        }),
      );
  };
  const onExit = (code: number): void => {
    const wasExpected = shared.vmState === VmState.POWERED_OFF || !isReady || hasFailed;
    shared.setVcpuState(vcpu, VcpuState.OFFLINE);
    if (!wasExpected) onEvent({ kind: 'crashed', vcpu, message: `${thread} ended with exit code ${code}` });
    // Without effect if it was ready or has failed.
    ready.reject(new UpcallError('THREAD_FAILED', `${thread} ended with exit code ${code} before it was ready`));
    ended.resolve(undefined);
  };
  let handle: HostThread;
  try {
    handle = host.startThread(new URL(options.entry.href), {
      name: `${config.name} vCPU ${vcpu}`,
      data,
      onMessage: (message) => onMessage(message as VcpuThreadMessage),
      onError,
      onExit,
    });
  } catch (error) {
    throw new UpcallError('THREAD_FAILED', `no thread for vCPU ${vcpu}: ${errorText(error).message}`, {
      remedy: LIMITS,
      cause: error,
    });
  }
  // The caller awaits `ready` only after all vCPUs were started. If one of them cannot be started,
  // this rejection would be unhandled.
  ready.promise.catch(() => undefined);
  return { thread: { handle, registers, ended: ended.promise }, ready: ready.promise };
}
