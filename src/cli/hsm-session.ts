/**
 * runHsm: a Service VM with /dev/acrn_hsm, and a program that finds it. serveHsm: a Service VM with
 * /dev/acrn_hsm for the programs of `upcall hsm --connect`.
 *
 * Called by: `upcall hsm`.
 *
 * The program's terminal, signals, exit status and working directory are its own. Signals of the
 * terminal reach it without this process, which ignores them. However the program ends, its VMs end
 * once it and what it has started have closed the device; if this process dies, a watchdog ends
 * them.
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
/** They end a server that has no program of its own: serveHsm, and runHsm after its program. */
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Any time: the timer does nothing. */
const KEEP_ALIVE_MS = 3_600_000;

/** Returns the program's exit status. Rejects with UpcallError if it cannot be started. */
export async function runHsm(plan: HsmPlan, reporter: Reporter): Promise<number> {
  let program: StartedProgram | undefined;
  let hasEnded = false;
  const stopForwarding = forwardSignals(() => (hasEnded ? 'ended' : program?.pid));
  // Only this user can enter it.
  const folder = plan.shim ? mkdtempSync(join(tmpdir(), 'upcall-hsm-')) : undefined;
  const session = new Session(plan, reporter, folder);
  try {
    const server = await session.open();
    program = await session.unpinned(() =>
      folder === undefined
        ? startProgram(plan.program, (listener) => server.serve(listener))
        : startShimmedProgram(plan.program, server.listen(join(folder, SOCKET_NAME))),
    );
    session.watch(program.pid);
    const end = await program.ended;
    hasEnded = true;
    await session.programEnded(plan.shim);
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
  const session = new Session(plan, reporter);
  let signal: EndingSignal | undefined;
  try {
    const server = await session.open();
    server.listen(socket);
    signal = new EndingSignal();
    reporter.line(`/dev/acrn_hsm is served. Run programs with: upcall hsm --connect ${socket} -- PROGRAM`);
    await signal.came;
  } finally {
    await session.close();
    signal?.close();
  }
}

/** Waits for one of ENDING_SIGNALS. Until `close` they do not end this process, nor does Node. */
class EndingSignal {
  readonly #came = new Deferred<'signalled'>();
  readonly came = this.#came.promise;
  readonly #listener = (): void => this.#came.resolve('signalled');
  /** Polls of files and listeners of signals do not keep Node running. */
  readonly #keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);

  constructor() {
    for (const signal of ENDING_SIGNALS) process.on(signal, this.#listener);
  }

  close(): void {
    clearInterval(this.#keepAlive);
    for (const signal of ENDING_SIGNALS) process.off(signal, this.#listener);
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
  #hasEnded = false;
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

  /** `start` starts a program: it may run on all CPUs. */
  unpinned<T>(start: () => T): T {
    return this.#serviceVm.pinning.unpinned(start);
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
    const isFirst = ++this.#vms === 1 && this.#program !== undefined && !this.#hasEnded;
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
    this.#watchdog.watch(this.#processes);
  }

  /** Those that end with this one. The number of one that has ended may be another process's. */
  get #processes(): readonly number[] {
    const program = this.#program === undefined ? [] : [this.#program];
    const processes = new Set([...program, ...(this.#server?.files.processes ?? [])]);
    return [...processes].filter((process) => process !== this.#program || !this.#hasEnded);
  }

  /**
   * Call it when the program has ended. What it started may have files of the device open: resolves
   * when the last one is closed, or at a signal. That kills the processes that have opened some,
   * which could not use them any more.
   */
  async programEnded(isShim: boolean): Promise<void> {
    this.#hasEnded = true;
    this.#watch();
    const files = this.#server?.files;
    if (files === undefined) return;
    if (files.opened === 0)
      this.#reporter.line(
        'the program has ended without opening /dev/acrn_hsm' +
          (isShim ? '. A statically linked one cannot find it with --shim' : ''),
      );
    if (files.count === 0) return;
    const open = files.count === 1 ? 'a file' : `${files.count} files`;
    this.#reporter.line(`the program has ended; what it started has ${open} of /dev/acrn_hsm open`);
    const signal = new EndingSignal();
    while (files.count > 0)
      if ((await Promise.race([this.#filesChanged.promise, signal.came])) === 'signalled') {
        for (const process of this.#processes) sendSignal(process, 'SIGKILL');
        break;
      }
    signal.close();
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
