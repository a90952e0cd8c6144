/**
 * VmTools: the operator's tools for a VM that a program created by /dev/acrn_hsm, or for the VM of
 * a card that is served: its events as lines, a trace, a live page, and the tables at its end.
 *
 * Called by: hsm-session.ts and serve-session.ts, for each VM.
 */

import type { LiveView } from '../dashboard/live-view.js';
import { errorText } from '../io-request/error-text.js';
import type { InterruptEvent } from '../trace/interrupt-reader.js';
import type { Move } from '../trace/move.js';
import type { UserVm } from '../vm/user-vm.js';
import { EventLog } from './event-log.js';
import { faultTable } from './fault-table.js';
import { openPage, type PagePlan } from './page-option.js';
import type { Reporter } from './reporter.js';
import { statisticsTable } from './statistics-table.js';

/** Where a trace goes: TraceFiles (commands/trace-files.ts). */
export interface TraceSink {
  add(event: Move | InterruptEvent): Promise<void>;
  close(): Promise<void>;
}

export interface VmToolsOptions {
  readonly reporter: Reporter;
  /** Printed before the tables. Default: none. */
  readonly subject?: string;
  readonly hypervisor: string;
  readonly page?: PagePlan;
  /** Opens the trace of a VM. */
  readonly trace?: (vm: UserVm) => Promise<TraceSink>;
  /** Prints the statistics at the end. */
  readonly statistics: boolean;
  /** Prints the stacks of errors. */
  readonly debug: boolean;
}

export class VmTools {
  /** Live pages of this process that are open or being opened. */
  static #openPages = 0;
  readonly vm: UserVm;
  /** Resolves when a browser has opened the live page, at once without `--page-wait`. */
  readonly pageOpened: Promise<void>;
  /** Resolves when the VM has ended, its trace is written, its page closed, its tables printed. */
  readonly ended: Promise<void>;
  readonly #options: VmToolsOptions;
  readonly #log: EventLog;
  #page: LiveView | undefined;

  /** For a VM that has not started. */
  constructor(vm: UserVm, options: VmToolsOptions) {
    this.vm = vm;
    this.#options = options;
    this.#log = new EventLog(options.reporter, vm.clock, options.debug, () => this.#page?.address);
    // Requests that a program completes while its VM is being destroyed find no vCPU to wake.
    vm.onEvent((event) => event.kind !== 'notify-failed' && this.#log.report(event));
    const page = this.#openPage();
    this.pageOpened = page.then(
      () => this.#waitForPage(),
      // #untilEnd reports why the page could not be opened.
      () => undefined,
    );
    const trace = this.#trace();
    this.ended = this.#untilEnd(page, trace);
  }

  async #openPage(): Promise<void> {
    const { page, hypervisor, reporter } = this.#options;
    if (page === undefined) return;
    // A port that was asked for is that of the first page, as long as that is open.
    const own = VmTools.#openPages++ === 0 ? page : { ...page, port: 0 };
    try {
      this.#page = await openPage(own, this.vm, hypervisor, undefined, reporter);
    } catch (error) {
      VmTools.#openPages--;
      throw error;
    }
  }

  async #waitForPage(): Promise<void> {
    const { page, reporter } = this.#options;
    if (page?.waits !== true) return;
    reporter.line('CREATE_VM returns when the page is open');
    await this.#page?.opened.promise;
  }

  async #trace(): Promise<void> {
    const { trace } = this.#options;
    if (trace === undefined) return;
    // Recorded from now on: the guest may start before the file is open.
    const events = this.vm.inspection.traceWithInterrupts();
    const sink = await trace(this.vm).catch((error: unknown) => {
      // Ends the recording, at the next event.
      void events.next().then(() => events.return());
      throw error;
    });
    for await (const event of events) await sink.add(event);
    await sink.close();
  }

  async #untilEnd(...work: readonly Promise<void>[]): Promise<void> {
    const { reporter, statistics, subject } = this.#options;
    const failed = (error: unknown): void => reporter.line(errorText(error).message);
    const done = Promise.all(work.map((one) => one.catch(failed)));
    await this.vm.ended;
    await done;
    this.#log.flush();
    if (this.#page !== undefined) VmTools.#openPages--;
    await this.#page?.close();
    const { vm } = this;
    const table = statistics ? vm.statistics() : undefined;
    if (subject !== undefined && (table !== undefined || vm.faults !== undefined)) reporter.heading('its requests');
    if (table !== undefined) reporter.text(statisticsTable(table, vm.counters(), vm.inspection.interrupts()));
    if (vm.faults !== undefined) reporter.text(faultTable(vm.faults.report(), vm.faults.seed));
  }
}
