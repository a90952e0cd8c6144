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
const MIB = 2 ** 20;

export class SessionSave {
  readonly #vm: UserVm;
  readonly #plan: SavePlan | undefined;
  readonly #reporter: Reporter;
  readonly #after: Expectation | undefined;
  #console: Buffer = Buffer.alloc(0);
  #saving: Promise<void> | undefined;
  #wasTriggered = false;

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
      const bytes = await this.#vm.save(file, { notes: { console: this.#console.toString('latin1') } });
      await onSaved?.();
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      if (!isQuiet) this.#reporter.line(`saved to ${file}: ${(bytes / MIB).toFixed(1)} MiB in ${seconds} s`);
    } catch (error) {
      if (isQuiet) return;
      this.#reporter.line(error instanceof UpcallError ? error.describe() : errorText(error).message);
    }
  }
}

/** The console's last text in a snapshot that a session saved. Any other snapshot has none. */
export function savedConsole({ notes }: Snapshot): Uint8Array {
  if (!Object.hasOwn(notes, 'console')) return new Uint8Array(0);
  return Buffer.from(new SavedState('the notes', notes).text('console', CONSOLE_BYTES), 'latin1');
}
