/**
 * runHsm: a Service VM with /dev/acrn_hsm, and a program that finds it. serveHsm: a Service VM with
 * /dev/acrn_hsm for the programs of `upcall hsm --connect`.
 *
 * Called by: `upcall hsm`.
 *
 * The program's terminal, signals, exit status and working directory are its own. Signals of the
 * terminal reach it without this process, which ignores them. However the program ends, its VMs end
 * with it; if this process dies, a watchdog ends the program.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AcrnServer } from '../acrn-programs/acrn-server.js';
import { startShimmedProgram } from '../acrn-programs/shimmed-program.js';
import { startProgram, type StartedProgram } from '../acrn-programs/started-program.js';
import { Watchdog } from '../acrn-programs/watchdog.js';
import type { AddressSpace } from '../acrn-hsm/address-space.js';
import type { HsmDeviceOptions } from '../acrn-hsm/hsm-device.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { Deferred } from '../sync/deferred.js';
import { ServiceVm, type ServiceVmOptions } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import { HsmLines, processOf } from './hsm-lines.js';
import { forwardSignals, isEnding, sendSignal, statusOf } from './program-signals.js';
import type { Reporter } from './reporter.js';
import { VmTools, type VmToolsOptions } from './vm-tools.js';

export interface ServerPlan {
  readonly hypervisor: Hypervisor;
  readonly serviceVm: ServiceVmOptions;
  readonly device: HsmDeviceOptions;
  readonly tools: VmToolsOptions;
  /** Whether stores of programs to a VM's RAM are tracked: translations of the guest need that. */
  readonly tracksWrites: boolean;
  /** Whether programs find what ACRN's device model wants of a Service VM's machine. */
  readonly asServiceVm: boolean;
  /** Sent to the program when its guest has halted forever. */
  readonly haltSignal?: NodeJS.Signals;
}

export interface HsmPlan extends ServerPlan {
  /**
   * Whether the program reaches the device by a preloaded C library, the shim, instead of by a
   * seccomp filter.
   */
  readonly shim: boolean;
  /** The program and its arguments. */
  readonly program: readonly string[];
}

const SOCKET_NAME = 'acrn_hsm';
/** They end the server of serveHsm. */
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Returns the program's exit status. Rejects with UpcallError if it cannot be started. */
export async function runHsm(plan: HsmPlan, reporter: Reporter): Promise<number> {
  let program: StartedProgram | undefined;
  const stopForwarding = forwardSignals(() => program?.pid);
  // Only this user can enter it.
  const folder = plan.shim ? mkdtempSync(join(tmpdir(), 'upcall-hsm-')) : undefined;
  const session = new Session(plan, reporter, folder);
  try {
    const server = await session.open();
    if (folder !== undefined)
      program = await startShimmedProgram(plan.program, server.listen(join(folder, SOCKET_NAME)));
    else program = await startProgram(plan.program, (listener) => server.serve(listener));
    session.watch(program.pid);
    const end = await program.ended;
    await session.filesClosed(plan.shim);
    return statusOf(end, reporter);
  } finally {
    await session.close();
    stopForwarding();
  }
}

/**
 * Serves programs that connect at `socket`, an absolute path, until a signal ends it. Rejects with
 * UpcallError if that cannot be.
 */
export async function serveHsm(plan: ServerPlan, socket: string, reporter: Reporter): Promise<void> {
  const signalled = new Deferred<undefined>();
  const end = (): void => signalled.resolve(undefined);
  const session = new Session(plan, reporter);
  try {
    const server = await session.open();
    server.listen(socket);
    for (const signal of ENDING_SIGNALS) process.on(signal, end);
    reporter.line(`/dev/acrn_hsm is served. Run programs with: upcall hsm --connect ${socket} -- PROGRAM`);
    await signalled.promise;
  } finally {
    await session.close();
    for (const signal of ENDING_SIGNALS) process.off(signal, end);
  }
}

/**
 * Interval at which a program that is held in CREATE_VM is checked for a signal: the system does
 * not report those of another process.
 */
const HOLD_POLL_MS = 50;

/** A server, the tools of its VMs, and the watchdog of its programs. */
class Session {
  readonly #plan: ServerPlan;
  readonly #reporter: Reporter;
  readonly #lines: HsmLines;
  readonly #serviceVm: ServiceVm;
  readonly #watchdog: Watchdog;
  readonly #tools = new Set<VmTools>();
  #server: AcrnServer | undefined;
  /** The process of `runHsm`'s program. Undefined for `serveHsm`. */
  #program: number | undefined;
  /** Number of VMs that were created. */
  #vms = 0;
  /** Resolved and replaced when a program opens or closes the device. */
  #filesChanged = new Deferred<undefined>();
  readonly #closing = new Deferred<undefined>();

  /** `folder`: where the socket of a shim is. The watchdog removes it. */
  constructor(plan: ServerPlan, reporter: Reporter, folder?: string) {
    this.#watchdog = new Watchdog(folder);
    this.#plan = plan;
    this.#reporter = reporter;
    this.#lines = new HsmLines(reporter, (process) => this.#server?.relayOf(process));
    this.#serviceVm = new ServiceVm(plan.hypervisor, plan.serviceVm);
  }

  async open(): Promise<AcrnServer> {
    const { device, tools, tracksWrites, asServiceVm, haltSignal } = this.#plan;
    const server = await AcrnServer.create(this.#serviceVm, {
      ...device,
      tracksWrites,
      asServiceVm,
      report: (text, process) => this.#lines.report(text, process),
      onFilesChanged: () => {
        this.#watch();
        this.#filesChanged.resolve(undefined);
        this.#filesChanged = new Deferred();
      },
      onRefused: (error, caller) => this.#lines.report(error.describe(), caller),
      ...(tools.debug ? { onRefusedIoctl: (refusal, caller) => this.#lines.refused(refusal, caller) } : {}),
      onVm: (vm, caller) => {
        const one = new VmTools(vm, this.#toolsOf(vm, caller, tools));
        this.#tools.add(one);
        void one.ended.then(() => this.#tools.delete(one));
        if (haltSignal !== undefined) signalWhenHalted(vm, server, haltSignal);
        return tools.page?.waits === true ? this.#hold(one.pageOpened, caller) : undefined;
      },
    });
    return (this.#server = server);
  }

  /** With several programs or VMs, each line and table says whose it is. */
  #toolsOf(vm: UserVm, caller: AddressSpace, tools: VmToolsOptions): VmToolsOptions {
    const isFirst = ++this.#vms === 1 && this.#program !== undefined;
    if (isFirst) return tools;
    const process = processOf(caller);
    const subject = process === undefined ? vm.name : `${vm.name} of process ${process}`;
    return { ...tools, reporter: this.#lines.about(subject, caller), subject };
  }

  /** Waits in CREATE_VM until a page is open, or the program or this session is about to end. */
  async #hold(pageOpened: Promise<void>, caller: AddressSpace): Promise<void> {
    const ends = new Deferred<undefined>();
    const poll = setInterval(() => {
      const process = processOf(caller);
      if (process === undefined || isEnding(process)) ends.resolve(undefined);
    }, HOLD_POLL_MS);
    await Promise.race([pageOpened, ends.promise, this.#closing.promise]);
    clearInterval(poll);
  }

  /** The program ends with this process. */
  watch(program: number): void {
    this.#program = program;
    this.#watch();
  }

  #watch(): void {
    const program = this.#program === undefined ? [] : [this.#program];
    this.#watchdog.watch([...new Set([...program, ...(this.#server?.files.processes ?? [])])]);
  }

  /** Resolves when no file of the device is open any more: what the program started has some. */
  async filesClosed(isShim: boolean): Promise<void> {
    const files = this.#server?.files;
    if (files === undefined) return;
    if (files.opened === 0)
      this.#reporter.line(
        'the program has ended without opening /dev/acrn_hsm' +
          (isShim ? '. A statically linked one cannot find it with --shim' : ''),
      );
    if (files.count > 0)
      this.#reporter.line(`the program has ended; what it started has ${files.count} files of /dev/acrn_hsm open`);
    while (files.count > 0) await this.#filesChanged.promise;
  }

  async close(): Promise<void> {
    this.#closing.resolve(undefined);
    await this.#server?.close();
    await this.#serviceVm.close();
    await Promise.all([...this.#tools].map(({ ended }) => ended));
    this.#lines.flush();
    this.#watchdog.close();
  }
}

/** Its program may wait for requests forever: a guest that has halted forever makes none. */
function signalWhenHalted(vm: UserVm, server: AcrnServer, signal: NodeJS.Signals): void {
  vm.onEvent(({ kind }) => {
    const pid = kind === 'halted' ? server.files.ofVm(vm.id)?.process : undefined;
    if (pid !== undefined) sendSignal(pid, signal);
  });
}
