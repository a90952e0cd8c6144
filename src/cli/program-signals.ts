/**
 * Signals and the exit status of a program that upcall starts: they are the program's own.
 *
 * Called by: hsm-session.ts and hsm-connect.ts.
 */

import { constants } from 'node:os';
import { pendingSignals, threadFacts } from '../host/node/linux/process-facts.js';
import { isInForeground, type ProgramEnd } from '../host/node/linux/spawned-program.js';
import type { Reporter } from './reporter.js';

/** Signals of a terminal go to all processes in its foreground: this one and the program. */
const TERMINAL_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const OTHER_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR2'];
/** As in shells, the status of a program that a signal ended: this plus the signal's number. */
const SIGNAL_STATUS = 128;

/** They end or stop a program, or ask it to end. */
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGTSTP', 'SIGSTOP'];

/**
 * Whether a process is to end or to stop, or has ended: a signal for that is pending while its call
 * waits for an answer.
 */
export function isEnding(pid: number): boolean {
  if (threadFacts(pid)?.hasEnded !== false) return true;
  const pending = pendingSignals(pid);
  return ENDING_SIGNALS.some((name) => (pending & (1n << BigInt(constants.signals[name] - 1))) !== 0n);
}

/** The program's exit status. A signal that ended it is reported. */
export function statusOf(end: ProgramEnd, reporter: Reporter): number {
  if ('status' in end) return end.status;
  const name = Object.entries(constants.signals).find(([, number]) => number === end.signal)?.[0] ?? end.signal;
  reporter.line(`the program was ended by ${name}`);
  return SIGNAL_STATUS + end.signal;
}

/**
 * Passes signals on to the program, except those that a terminal sends to the program as well. A
 * signal that comes while `pid` returns undefined, before the program runs, ends this process, with
 * the status of shells. After the program's end (`ended`) its number may be another process's:
 * signals do nothing. Returns a function that ends the forwarding.
 */
export function forwardSignals(pid: () => number | 'ended' | undefined): () => void {
  const listeners = [...TERMINAL_SIGNALS, ...OTHER_SIGNALS].map((signal) => {
    const listener = (): void => {
      const target = pid();
      if (target === undefined) process.exit(SIGNAL_STATUS + constants.signals[signal]);
      if (target === 'ended') return;
      if (!TERMINAL_SIGNALS.includes(signal) || !isInForeground()) sendSignal(target, signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
}

/** Does nothing if the process has ended. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
