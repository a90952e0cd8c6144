/**
 * runHsm: a Service VM with /dev/acrn_hsm, and a program that finds it.
 *
 * Called by: `upcall hsm`.
 *
 * The program's terminal, signals, exit status and working directory are its own. Signals of the
 * terminal reach it without this process, which ignores them. However the program ends, its VMs end
 * with it; if this process dies, a watchdog ends the program.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { AcrnServer } from '../acrn-programs/acrn-server.js';
import { startShimmedProgram } from '../acrn-programs/shimmed-program.js';
import { startProgram, type StartedProgram } from '../acrn-programs/started-program.js';
import { Watchdog } from '../acrn-programs/watchdog.js';
import type { HsmDeviceOptions } from '../acrn-hsm/hsm-device.js';
import { isInForeground, type ProgramEnd } from '../host/node/linux/spawned-program.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { Deferred } from '../sync/deferred.js';
import { ServiceVm, type ServiceVmOptions } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import type { Reporter } from './reporter.js';
import { VmTools, type VmToolsOptions } from './vm-tools.js';

export interface HsmPlan {
  readonly hypervisor: Hypervisor;
  readonly serviceVm: ServiceVmOptions;
  readonly device: HsmDeviceOptions;
  readonly tools: VmToolsOptions;
  /** As NotifiedProgramOptions. */
  readonly tracksWrites: boolean;
  /** Starts the program with the shim, instead of under a filter. */
  readonly shim: boolean;
  /** The program and its arguments. */
  readonly program: readonly string[];
  /** Sent to the program when its guest has halted forever. */
  readonly haltSignal?: NodeJS.Signals;
}

/** Signals of a terminal go to all processes in its foreground: this one and the program. */
const TERMINAL_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const OTHER_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR2'];
const SIGNAL_STATUS = 128;
const SOCKET_NAME = 'acrn_hsm';

/** Returns the program's exit status. Rejects with UpcallError if it cannot be started. */
export async function runHsm(plan: HsmPlan, reporter: Reporter): Promise<number> {
  const serviceVm = new ServiceVm(plan.hypervisor, plan.serviceVm);
  const watchdog = new Watchdog();
  const tools = new Set<VmTools>();
  let program: StartedProgram | undefined;
  let filesChanged = new Deferred<undefined>();
  const stopForwarding = forwardSignals(() => program?.pid);
  let server: AcrnServer | undefined;
  let folder: string | undefined;
  try {
    const opened = await AcrnServer.create(serviceVm, {
      ...plan.device,
      tracksWrites: plan.tracksWrites,
      report: (text) => reporter.line(text),
      onFilesChanged: () => {
        watchdog.watch([...(program === undefined ? [] : [program.pid]), ...opened.files.processes]);
        filesChanged.resolve(undefined);
        filesChanged = new Deferred();
      },
      onVm: (vm) => {
        const one = new VmTools(vm, plan.tools);
        tools.add(one);
        void one.ended.then(() => tools.delete(one));
        if (plan.haltSignal !== undefined) signalWhenHalted(vm, opened, plan.haltSignal);
      },
    });
    server = opened;
    program = plan.shim
      ? await startShimmedProgram(plan.program, opened.listen(join((folder = privateFolder()), SOCKET_NAME)))
      : await startProgram(plan.program, {}, (listener) => opened.serve(listener));
    watchdog.watch([program.pid]);
    const end = await program.ended;
    if (opened.files.count > 0)
      reporter.line(`the program has ended; what it started has ${opened.files.count} files of /dev/acrn_hsm open`);
    while (opened.files.count > 0) await filesChanged.promise;
    return statusOf(end, reporter);
  } finally {
    await server?.close();
    await serviceVm.close();
    await Promise.all([...tools].map(({ ended }) => ended));
    watchdog.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    stopForwarding();
  }
}

/** For a socket: only this user can enter it. */
function privateFolder(): string {
  return mkdtempSync(join(tmpdir(), 'upcall-hsm-'));
}

function statusOf(end: ProgramEnd, reporter: Reporter): number {
  if ('status' in end) return end.status;
  const name = Object.entries(constants.signals).find(([, number]) => number === end.signal)?.[0] ?? end.signal;
  reporter.line(`the program was ended by ${name}`);
  return SIGNAL_STATUS + end.signal;
}

/** A guest that has halted forever makes no request any more. */
function signalWhenHalted(vm: UserVm, server: AcrnServer, signal: NodeJS.Signals): void {
  vm.onEvent(({ kind }) => {
    const pid = kind === 'halted' ? server.files.ofVm(vm.id)?.process : undefined;
    if (pid !== undefined) send(pid, signal);
  });
}

/** Passes signals on to the program. Returns a function that ends it. */
function forwardSignals(pid: () => number | undefined): () => void {
  const listeners = [...TERMINAL_SIGNALS, ...OTHER_SIGNALS].map((signal) => {
    const listener = (): void => {
      const target = pid();
      if (target === undefined) process.exit(SIGNAL_STATUS + constants.signals[signal]);
      if (!TERMINAL_SIGNALS.includes(signal) || !isInForeground()) send(target, signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
