/**
 * FileWatch: calls back when the contents of a set of files have changed.
 *
 * Called by: WatchedDevice, with the files of its module.
 *
 * It watches folders, because editors replace a file by renaming another one over it, which a watch
 * on the file itself would not survive. One save is several events: it waits until SETTLE_MS have
 * passed without one, and then compares contents, so that it calls back once. A file that is
 * missing then is about to be replaced, and its next event follows.
 */

import { createHash } from 'node:crypto';
import { readFileSync, realpathSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock, ClockTimer } from '../../device-model/clock.js';
import { errorText } from '../../io-request/error-text.js';

/** Events of one save are not further apart. */
export const SETTLE_MS = 20;
/** Folders of a module's files that are watched. */
export const MAX_FOLDERS = 64;
/** Files that may be a part of a module. */
const MODULE_FILE = /\.(?:[cm]?[jt]sx?|json)$/;

export interface FileWatchOptions {
  readonly clock: Clock;
  /** `sinceMs`: when the first event of the change came, on the clock. */
  readonly onChanged: (sinceMs: number) => void;
  /** A folder cannot be watched. A sentence part. */
  readonly onFailed: (problem: string) => void;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #folders = new Map<string, FSWatcher | undefined>();
  /** The contents of each file, as a hash, when a change was last reported. */
  readonly #contents = new Map<string, string>();
  /** False while other files of the folders may count as well, such as one that was not found. */
  #isComplete = true;
  /** Other module files with an event since the last comparison. */
  readonly #others = new Set<string>();
  #timer: ClockTimer | undefined;
  #sinceMs: number | undefined;

  constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  /** `isComplete`: false if any other module file beside them may count as well. */
  setFiles(files: readonly string[], isComplete: boolean): void {
    this.#isComplete = isComplete;
    const real = files.map(realPath);
    // After a load that failed, the files of the one before still matter.
    if (isComplete) for (const file of this.#contents.keys()) if (!real.includes(file)) this.#contents.delete(file);
    for (const file of real) {
      if (!this.#contents.has(file)) this.#contents.set(file, contentsOf(file) ?? '');
      this.#watch(dirname(file));
    }
  }

  close(): void {
    this.#timer?.cancel();
    for (const watcher of this.#folders.values()) watcher?.close();
    this.#folders.clear();
  }

  #watch(folder: string): void {
    if (this.#folders.has(folder)) return;
    const failed = (error: unknown): void =>
      this.#options.onFailed(`changes in ${folder} are not noticed: ${errorText(error).message}`);
    if (this.#folders.size === MAX_FOLDERS) {
      failed(new Error(`the module has files in more than ${MAX_FOLDERS} folders`));
      return;
    }
    this.#folders.set(folder, undefined);
    try {
      const watcher = watch(folder, { persistent: false }, (_, name) => this.#onEvent(folder, name));
      watcher.on('error', failed);
      this.#folders.set(folder, watcher);
    } catch (error) {
      failed(error);
    }
  }

  /** `name`: some systems do not say which file it was. */
  #onEvent(folder: string, name: string | null): void {
    const file = name === null ? undefined : join(folder, name);
    if (file !== undefined && !this.#contents.has(file)) {
      if (this.#isComplete || !MODULE_FILE.test(file)) return;
      this.#others.add(file);
    }
    const { clock } = this.#options;
    this.#sinceMs ??= clock.now();
    this.#timer?.cancel();
    this.#timer = clock.schedule(clock.now() + SETTLE_MS, () => this.#compare());
  }

  #compare(): void {
    const since = this.#sinceMs ?? 0;
    this.#sinceMs = undefined;
    let isChanged = false;
    for (const file of this.#others) if (!this.#contents.has(file)) this.#contents.set(file, '');
    this.#others.clear();
    for (const [file, known] of this.#contents) {
      const now = contentsOf(file);
      if (now === undefined || now === known) continue;
      this.#contents.set(file, now);
      isChanged = true;
    }
    if (isChanged) this.#options.onChanged(since);
  }
}

/** Undefined if the file cannot be read. */
function contentsOf(file: string): string | undefined {
  try {
    return createHash('sha1').update(readFileSync(file)).digest('base64');
  } catch {
    return undefined;
  }
}

/** The folder's real path, for a file that may not exist. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    try {
      return join(realpathSync(dirname(file)), basename(file));
    } catch {
      return file;
    }
  }
}
