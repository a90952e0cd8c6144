/**
 * runSession: runs one guest from its start to its end: a User VM with a standard PC, whose serial
 * port is on this process's standard streams.
 *
 * - Called by: `upcall run`, `trace` and `top`.
 * - However it ends (session-end.ts), no thread and no raw terminal stays behind.
 */

import type { Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import type { LiveView } from '../dashboard/live-view.js';
import { GuestConsole } from '../dashboard/guest-console.js';
import { withTimeout } from '../sync/bounded-wait.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { Snapshot } from '../vm/snapshot/snapshot.js';
import type { UserVmOptions } from '../vm/user-vm-options.js';
import type { Pin } from '../vm/thread-pinning.js';
import { standardPc } from '../vm/standard-pc.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import type { UserVm } from '../vm/user-vm.js';
import { ConsoleInput } from './console-input.js';
import { ConsoleOutput } from './console-output.js';
import { DeviceBlame } from './device-blame.js';
import type { CardSource } from './card-source.js';
import { reportCoverage, type CoveragePlan } from './coverage/coverage-option.js';
import { RunCoverage } from './coverage/run-coverage.js';
import type { DeviceOption } from './device-option.js';
import { reportExit } from './exit-report.js';
import { EscapeKey } from './escape-key.js';
import { EventLog } from './event-log.js';
import type { ExitStatus } from './exit-status.js';
import { Expectation } from './expectation.js';
import { faultTable } from './fault-table.js';
import { addressLine, escapeKeysLine, openPage, type PagePlan } from './page-option.js';
import type { TerminalBackend } from './ports/terminal-backend.js';
import type { Reporter } from './reporter.js';
import { endMessage, statusOf } from './session-end.js';
import { reportEarlyEnd, SessionEnding } from './session-ending.js';
import { savedConsole, SessionSave, type SavePlan } from './session-save.js';
import { startSession } from './session-start.js';
import { sharesMessages } from './shared-output.js';
import { StallGuard } from './stall-guard.js';
import { statisticsTable } from './statistics-table.js';
import { RawTerminal } from './terminal.js';
import { takeUncaught } from './uncaught.js';

export interface SessionPlan {
  readonly hypervisor: Hypervisor;
  /** The file of the hypervisor's module. Undefined for upcall's own. */
  readonly hypervisorModule?: string;
  /** `ServiceVmOptions.spinUs`. */
  readonly spinUs?: number;
  /** `ServiceVmOptions.pin`. */
  readonly pin?: Pin;
  readonly vm: UserVmOptions;
  readonly devices: readonly DeviceOption[];
  /** Load the modules of `devices` anew when their files change. */
  readonly watchFiles?: boolean;
  /** Cards of other options than `--device`. */
  readonly cards: readonly CardSource[];
  /** The terminal's end of the virtio console, which then gets the input. */
  readonly terminal?: TerminalBackend;
  /** A text that ends the session when the guest prints it. */
  readonly expect?: string;
  readonly timeoutMs?: number;
  /**
   * Called before the VM starts, for `trace` and `top`. The session waits for its promise, which
   * must settle when the VM ends.
   */
  readonly watch?: (vm: UserVm) => Promise<void>;
  /** Says at a terminal what takes its time. */
  readonly announce?: string;
  /** What the VM goes on from. Undefined: it boots. */
  readonly snapshot?: Snapshot;
  /** Where the VM is saved to, and when. */
  readonly save?: SavePlan;
  /** Serves the live page. */
  readonly page?: PagePlan;
  /** Prints the statistics at the end. */
  readonly statistics: boolean;
  /** Counts the accesses of `devices` by register, and reports them at the end. */
  readonly coverage?: CoveragePlan;
  /** Prints the stacks of device errors. */
  readonly debug: boolean;
}

export interface SessionStreams {
  readonly input: ReadStream;
  readonly output: Writable & { readonly isTTY?: boolean; readonly fd?: number };
  readonly reporter: Reporter;
}

/**
 * Returns the exit status. Rejects with UpcallError if the VM cannot start. `ending` may have begun
 * before the session, and is closed by its creator.
 */
export async function runSession(
  plan: SessionPlan,
  streams: SessionStreams,
  ending: SessionEnding,
): Promise<ExitStatus> {
  const serviceVm = new ServiceVm(plan.hypervisor, {
    ...(plan.spinUs === undefined ? {} : { spinUs: plan.spinUs }),
    ...(plan.pin === undefined ? {} : { pin: plan.pin }),
  });
  try {
    const { statistics = plan.statistics || plan.page !== undefined } = plan.vm;
    const options = { ...plan.vm, statistics };
    const { snapshot, announce } = plan;
    if (announce !== undefined && streams.input.isTTY) streams.reporter.line(announce);
    const creating = snapshot === undefined ? serviceVm.createUserVm(options) : serviceVm.restore(snapshot, options);
    // A hypervisor of the operator may never create its VM.
    const created = await Promise.race([creating, ending.ended]);
    if ('kind' in created) {
      // While the Service VM is closed, a second signal ends the process at once.
      ending.removeSignalListeners();
      return reportEarlyEnd(created, { timeout: plan.timeoutMs, expect: plan.expect }, streams.reporter);
    }
    return await runOnStreams(created, plan, streams, ending);
  } finally {
    await serviceVm.close();
    const released = Promise.all(plan.cards.map(async (card) => card.released?.()));
    await withTimeout(RELEASE_MS, released, () =>
      streams.reporter.line(
        `a disk or a network was not closed within ${RELEASE_MS / 1000} s: what was not written may be lost`,
      ),
    );
  }
}

/**
 * Connects the VM, its console and the ways to end, runs the VM, and takes all of it down again.
 */
async function runOnStreams(
  vm: UserVm,
  plan: SessionPlan,
  { input, output, reporter }: SessionStreams,
  ending: SessionEnding,
): Promise<ExitStatus> {
  const { end, ended } = ending;

  const isBesideMessages = sharesMessages(output);
  const saving = new SessionSave(vm, plan.save, reporter);
  const expectation = plan.expect === undefined ? undefined : new Expectation(plan.expect);
  const consoleOutput = new ConsoleOutput({
    stream: output,
    onBytes: (bytes) => {
      guestConsole.write(bytes);
      saving.scan(bytes);
      reporter.state.isMidLine = isBesideMessages && bytes[bytes.length - 1] !== LINE_FEED;
      if (expectation?.scan(bytes) === true) end({ kind: 'text-seen' });
    },
    onBroken: (error) => end({ kind: 'output-broken', error }),
  });
  const receive = (bytes: Uint8Array): number => plan.terminal?.receive(bytes) ?? pc.uart.receive(bytes);
  const guestConsole = new GuestConsole(receive);
  const onInputRoom = (): void => {
    consoleInput.room();
    guestConsole.room();
  };
  const pc = standardPc(vm, {
    console: consoleOutput,
    consoleRoom: consoleOutput.room,
    // Piped input waits until the guest has opened the port: its driver's probing would drop it.
    consoleFlowControl: !input.isTTY,
    onConsoleInputRoom: onInputRoom,
    onPostCode: (code) => saving.postCode(code),
  });
  plan.terminal?.attach({
    output: consoleOutput,
    onInputRoom,
    onDropped: () => reporter.line('standard output is not read: what the guest prints is dropped'),
  });
  const escapeKey = new EscapeKey(vm.clock, {
    leave: () => end({ kind: 'escape-key' }),
    showPage: () => reporter.line(addressLine(page)),
    save: () => saving.request(),
  });
  const consoleInput = new ConsoleInput({
    stream: input,
    receive,
    ...(input.isTTY ? { filter: (typed: Uint8Array) => escapeKey.filter(typed) } : {}),
    report: (text) => reporter.line(text),
  });
  const log = new EventLog(reporter, vm.clock, plan.debug, () => page?.address);
  // Events before the start are held back: a device that cannot be created is reported as the error
  // of the start, and then not also as a lost device.
  const early: UserVmEvent[] = [];
  let onEvent: (event: UserVmEvent) => unknown = (event) => early.push(event);
  vm.onEvent((event) => onEvent(event));

  const terminal = input.isTTY ? new RawTerminal(input) : undefined;
  const blame = new DeviceBlame();
  const stopTaking = takeUncaught((error) => blame.take(error, vm));
  // A device may call process.exit(): that is reported, not passed over.
  const onExit = (code: number): void => reportExit(code, reporter);
  process.on('exit', onExit);
  let guard: StallGuard | undefined;
  let isEnding = false;
  let page: LiveView | undefined;
  try {
    if (plan.page !== undefined) page = await openPage(plan.page, vm, plan.hypervisor.name, guestConsole, reporter);
    const watching = plan.watch?.(vm);
    const coverage = plan.coverage && new RunCoverage(vm);
    // It is awaited below, which throws its error. Until then the error is not unhandled.
    watching?.catch(() => undefined);
    if (terminal !== undefined) reporter.line(escapeKeysLine(page !== undefined, savedByKey(plan.save)));
    if (plan.devices.some(({ inOwnThread }) => !inOwnThread)) {
      guard = new StallGuard({
        reporter,
        namesOf: (stack) => blame.devicesOf(stack).map(({ name }) => name),
        // They are removed while a device blocks the thread, so that Ctrl-C ends the process. Once
        // the end has begun, a signal must end it too.
        addSignalListeners: () => !isEnding && ending.addSignalListeners(),
        removeSignalListeners: () => ending.removeSignalListeners(),
        onExiting: () => process.off('exit', onExit),
        timedOut: () =>
          performance.now() >= ending.endMs && endMessage({ kind: 'timed-out' }, plan.expect, plan.timeoutMs),
      });
      await guard.ready();
    }
    // The session can end before the start does, for example by Ctrl-C while a device is never
    // created.
    const opened = plan.page?.waits === true ? page?.opened.promise : undefined;
    if (opened !== undefined) reporter.line('the guest starts when the page is open');
    const start = Promise.resolve(opened)
      .then(() =>
        startSession(
          vm,
          plan,
          (device) => blame.add(device),
          undefined,
          (client) => coverage?.add(client),
          () => saving.expectPossible(),
        ),
      )
      .then(() => true);
    // If `ended` comes first, the race still handles a later rejection of `start`.
    if (await Promise.race([start, ended.then(() => false)])) {
      terminal?.enter();
      reporter.state.isRaw = terminal !== undefined;
      onEvent = (event) => log.report(event);
      early.splice(0).forEach(onEvent);
      if (plan.snapshot !== undefined) consoleOutput.write(savedConsole(plan.snapshot));
      consoleInput.start();
      void vm.ended.then((vmEnd) => end({ kind: 'vm-ended', end: vmEnd, exitCode: pc.debugExit.exitCode }));
    }
    const sessionEnd = await ended;
    isEnding = true;
    // From here on the VM is torn down. A request that is completed meanwhile finds no vCPU to
    // wake: that is expected and not reported.
    onEvent = (event) => event.kind !== 'notify-failed' && log.report(event);
    // A second signal ends the process at once, for example while the output's reader is stopped.
    ending.removeSignalListeners();
    consoleInput.stop();
    await saving.settled();
    terminal?.restore();
    reporter.state.isRaw = false;
    await vm.destroy();
    await watching;
    await coverage?.ended();
    await consoleOutput.flushed();
    log.flush();
    const foreign =
      plan.hypervisorModule === undefined
        ? undefined
        : `${vm.name} on the hypervisor ${plan.hypervisor.name} of ${plan.hypervisorModule}`;
    const message = endMessage(sessionEnd, plan.expect, plan.timeoutMs, foreign);
    if (message !== undefined) reporter.line(message);
    const statistics = plan.statistics ? vm.statistics() : undefined;
    if (statistics !== undefined) reporter.text(statisticsTable(statistics, vm.counters(), vm.inspection.interrupts()));
    if (plan.coverage !== undefined && coverage !== undefined) reportCoverage(plan.coverage, coverage, reporter);
    if (vm.faults !== undefined) reporter.text(faultTable(vm.faults.report(), vm.faults.seed));
    return saving.statusOf(statusOf(sessionEnd, expectation?.isMet === false));
  } finally {
    process.off('exit', onExit);
    stopTaking();
    await guard?.close();
    await page?.close();
    // Still held back: the start failed, or the session ended before it did.
    early.filter(({ kind }) => kind !== 'device-lost').forEach((event) => log.report(event));
    ending.removeSignalListeners();
    consoleInput.stop();
    terminal?.restore();
    reporter.state.isRaw = false;
    if (reporter.state.isMidLine) reporter.text('');
  }
}

/** The file that the key saves to. Undefined: no file, or one of the cache. */
function savedByKey(plan: SavePlan | undefined): string | undefined {
  return plan?.isQuiet === true ? undefined : plan?.file;
}

const LINE_FEED = 0x0a;
/** Time for cards to release what they have open, above all unwritten data of disks. */
const RELEASE_MS = 60_000;
