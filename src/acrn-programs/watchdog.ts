/**
 * Watchdog: kills the programs that this process serves if this process dies, whatever the cause.
 * Their ioctls would fail from then on, and a program that ignores that would spin. The watchdog is
 * a process of its own, which ends with this one.
 *
 * Called by: cli/hsm-session.ts, for the programs of a server; cli/hsm-connect.ts, for the program
 * that it connects to one.
 */

import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Reads lines of process numbers from this process. Keeps the last one, and kills its processes at
 * the end of the input, which comes when this process dies. A terminal's signals, which this
 * process may survive, must not end it. `$1` is the folder to remove.
 */
const SCRIPT = `trap '' INT TERM HUP QUIT; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -KILL $pids
[ -z "$1" ] || rm -rf "$1"`;

export class Watchdog {
  readonly #child: ChildProcess;
  #watched = '';

  /** `folder` is removed after `close`, or when this process has died. Default: none. */
  constructor(folder = '') {
    this.#child = spawn('sh', ['-c', SCRIPT, 'sh', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#child.unref();
    // It may have been killed. Then nothing is lost while this process lives.
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
  }

  /** Sets the processes to kill. They replace those of the last call. */
  watch(pids: readonly number[]): void {
    const watched = pids.join(' ');
    if (watched === this.#watched) return;
    this.#watched = watched;
    this.#child.stdin?.write(`${watched}\n`);
  }

  close(): void {
    this.watch([]);
    this.#child.stdin?.end();
  }
}
