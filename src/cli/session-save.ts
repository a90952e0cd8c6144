/**
 * SessionSave: saves the VM of a session to the file of `--save`, when the guest's console shows
 * the text of `--save-after`, at the key Ctrl-] s, or when a guest of upcall's own asks for it.
 *
 * Called by: runSession, with the console's bytes and the key; debian/booted-state.ts, which makes
 * the plan of a state for the cache.
 *
 * The console's last text is saved too, so that a restored session shows the prompt that its guest
 * shows.
 */

import { errorText } from '../io-request/error-text.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { SavedState } from '../io-request/saved-state.js';
import type { Snapshot } from '../vm/snapshot/snapshot.js';
import type { UserVm } from '../vm/user-vm.js';
import { ExitStatus } from './exit-status.js';
import { Expectation } from './expectation.js';
import type { Reporter } from './reporter.js';

export interface SavePlan {
  readonly file: string;
  /** Saves when the guest has printed this. Default: no text saves, only the key and `postCode`. */
  readonly after?: string;
  /** Saves when the guest writes this code to the POST port. */
  readonly postCode?: number;
  /** Of upcall's own cache: neither success nor failure is reported. */
  readonly isQuiet?: boolean;
  /** Called once the file is written. */
  readonly onSaved?: () => Promise<void>;
}

/** What a snapshot keeps of the console, at most. */
const CONSOLE_BYTES = 4096;
const KIB = 2 ** 10;
const MIB = 2 ** 20;

export class SessionSave {
  readonly #vm: UserVm;
  readonly #plan: SavePlan | undefined;
  readonly #reporter: Reporter;
  readonly #after: Expectation | undefined;
  #console: Buffer = Buffer.alloc(0);
  #saving: Promise<void> | undefined;
  #wasTriggered = false;
  #hasSaved = false;
  /** Of the last save. */
  #hasFailed = false;

  constructor(vm: UserVm, plan: SavePlan | undefined, reporter: Reporter) {
    this.#vm = vm;
    this.#plan = plan;
    this.#reporter = reporter;
    this.#after = plan?.after === undefined ? undefined : new Expectation(plan.after);
  }

  /** Bytes of the guest's console. */
  scan(bytes: Uint8Array): void {
    if (this.#plan === undefined) return;
    this.#console = Buffer.from(Buffer.concat([this.#console, bytes]).subarray(-CONSOLE_BYTES));
    if (this.#after?.scan(bytes) === true) this.#trigger();
  }

  /** A code that the guest wrote to the POST port. */
  postCode(code: number): void {
    if (code === this.#plan?.postCode) this.#trigger();
  }

  /** The key: saves again each time. */
  request(): void {
    if (this.#plan === undefined) this.#reporter.line('there is no file to save to: start with --save FILE');
    else this.#saving ??= this.#save(this.#plan).finally(() => (this.#saving = undefined));
  }

  /**
   * The session's exit status, if it would be `status` without a save. Says so if the text of
   * `--save-after` never came. Call it once, when no save is in progress.
   */
  statusOf(status: ExitStatus): ExitStatus {
    const isMissing = !this.#hasSaved && this.#after?.isMet === false;
    if (isMissing && this.#plan !== undefined)
      this.#reporter.line(
        `"${this.#plan.after}" did not appear on the console: nothing was saved to ${this.#plan.file}`,
      );
    if (status !== ExitStatus.OK) return status;
    return this.#hasFailed ? ExitStatus.GUEST_FAILED : isMissing ? ExitStatus.TIMED_OUT : status;
  }

  /** Before the start. Rejects with SNAPSHOT_REFUSED if a save is planned that would be refused. */
  async expectPossible(): Promise<void> {
    if (this.#plan !== undefined && this.#plan.isQuiet !== true) await this.#vm.expectSavable();
  }

  /** Resolves when no save is in progress. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  #trigger(): void {
    if (this.#wasTriggered) return;
    this.#wasTriggered = true;
    this.request();
  }

  async #save({ file, isQuiet = false, onSaved }: SavePlan): Promise<void> {
    const startMs = performance.now();
    try {
      const bytes = await this.#vm.save(file, { notes: () => this.#notes() });
      this.#hasFailed = false;
      this.#hasSaved = true;
      await onSaved?.();
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      if (!isQuiet) this.#reporter.line(`saved to ${file}: ${lengthText(bytes)} in ${seconds} s`);
    } catch (error) {
      if (isQuiet) return;
      this.#hasFailed = true;
      this.#reporter.line(error instanceof UpcallError ? error.describe() : errorText(error).message);
    }
  }

  /** Called while the vCPUs are held: the guest prints between the request and the hold. */
  #notes(): Readonly<Record<string, unknown>> {
    return { console: this.#console.toString('latin1') };
  }
}

/** In MiB with one decimal, or below 1 MiB in whole KiB. */
function lengthText(bytes: number): string {
  return bytes < MIB ? `${Math.max(1, Math.round(bytes / KIB))} KiB` : `${(bytes / MIB).toFixed(1)} MiB`;
}

/** The console's last text in a snapshot that a session saved. Any other snapshot has none. */
export function savedConsole({ notes }: Snapshot): Uint8Array {
  if (!Object.hasOwn(notes, 'console')) return new Uint8Array(0);
  return Buffer.from(new SavedState('the notes', notes).text('console', CONSOLE_BYTES), 'latin1');
}
