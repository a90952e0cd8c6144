/**
 * QemuMachine: a QEMU process that plays lists of steps: a PC whose firmware is the guest program
 * guests/compare.asm.
 *
 * Called by: cli/commands/compare.ts, which starts and closes it; QemuDevice, which plays one list
 * at a time.
 * Callers must: close it. Closing a QemuDevice does not.
 *
 * QEMU counts instructions (`-icount`): each takes one nanosecond of virtual time, whatever the
 * host does meanwhile. The guest makes the accesses itself and never halts, so everything that a
 * list shows is the same each time.
 */

import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UpcallError } from '../../io-request/upcall-error.js';
import { GO_ADDRESS, MARK_LINE, RECORD_BYTES, RECORDS_ADDRESS, romImage, STEPS_ADDRESS } from './player.js';
import { Qtest } from './qtest.js';

const GUEST = new URL('../../../guests/compare.bin', import.meta.url);

/** A list of steps takes milliseconds, one with long waits a second. */
const PLAY_LIMIT_MS = 60_000;
/** Characters of QEMU's messages that are kept for an error. */
const STDERR_LIMIT = 2000;

/** A change of an interrupt line, and how many steps were over before it. */
export interface LineChange {
  readonly stepsBefore: number;
  readonly line: number;
  readonly high: boolean;
}

export interface Played {
  readonly records: Uint8Array<ArrayBuffer>;
  readonly changes: readonly LineChange[];
  /** The lines that were high before: devices keep their state between two lists. */
  readonly highBefore: ReadonlySet<number>;
}

/** The first line of `--version`. Rejects with TOOL_MISSING or TOOL_FAILED. */
export async function qemuVersion(program: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 10_000 });
    return stdout.split('\n', 1)[0]?.trim() ?? '';
  } catch (error) {
    if (isMissing(error))
      throw new UpcallError('TOOL_MISSING', `${program} was not found`, {
        remedy: 'Install it, on Debian with apt-get install qemu-system-x86, or name it with --qemu',
        cause: error,
      });
    throw new UpcallError('TOOL_FAILED', `${program} --version failed: ${message(error)}`, {
      remedy: 'Name a working qemu-system-x86_64 with --qemu',
      cause: error,
    });
  }
}

export class QemuMachine {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #scratch: string;
  readonly #qtest: Qtest;
  readonly #ended: Promise<void>;
  /** Also when this process exits: QEMU must not outlive it. */
  readonly #kill = (): void => void this.#process.kill('SIGKILL');
  #stderr = '';
  #isClosing = false;
  /** Pulses of MARK_LINE since the current list began: the steps that are over. */
  #marks = 0;
  /** The number of the pulse that ends the current list. */
  #marksWanted = Infinity;
  #changes: LineChange[] = [];
  /** The lines that are high now. */
  readonly #high = new Set<number>();
  /** Settles the current `play`. */
  #played: ((error?: Error) => void) | undefined;

  private constructor(process: ChildProcessWithoutNullStreams, scratch: string) {
    this.#process = process;
    this.#scratch = scratch;
    this.#qtest = new Qtest(
      (line) => process.stdin.write(line),
      (line, high) => this.#lineChanged(line, high),
    );
    process.stdout.setEncoding('utf8').on('data', (text: string) => this.#qtest.receive(text));
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_LIMIT);
    });
    globalThis.process.once('exit', this.#kill);
    // A write to a process that has ended: its exit reports more.
    process.stdin.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      process.once('error', (error) => {
        this.#fail(`could not be started: ${error.message}`);
        resolve();
      });
      process.once('close', (code, signal) => {
        this.#fail(code === null ? `was ended by ${signal ?? 'a signal'}` : `ended with status ${code}`);
        resolve();
      });
    });
  }

  /** Starts `program`, a qemu-system-x86_64. Rejects with TOOL_FAILED if it cannot be started. */
  static async start(program: string): Promise<QemuMachine> {
    const scratch = await mkdtemp(join(tmpdir(), 'upcall-compare-'));
    let machine: QemuMachine | undefined;
    try {
      const rom = join(scratch, 'rom.bin');
      await writeFile(rom, romImage(await readFile(GUEST)));
      // In a process group of its own: Ctrl-C in the terminal is for upcall, which closes it.
      machine = new QemuMachine(spawn(program, qemuArguments(rom), { stdio: 'pipe', detached: true }), scratch);
      // The lines as they reach the I/O APIC, which has all of them.
      await machine.#qtest.command('irq_intercept_in ioapic');
      return machine;
    } catch (error) {
      await machine?.close();
      await rm(scratch, { recursive: true, force: true });
      throw error;
    }
  }

  /** Plays one list of `steps` steps, encoded by `encodeSteps`. Rejects with TOOL_FAILED. */
  async play(encoded: Uint8Array, steps: number): Promise<Played> {
    await this.#qtest.writeMemory(STEPS_ADDRESS, encoded);
    const highBefore = new Set(this.#high);
    this.#changes = [];
    this.#marks = 0;
    // One more says that the last record is complete.
    this.#marksWanted = steps + 1;
    const finished = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(`did not play ${steps} steps within ${PLAY_LIMIT_MS / 1000} s`),
        PLAY_LIMIT_MS,
      );
      this.#played = (error) => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    // Both, so that neither rejection is left without a handler if QEMU dies.
    await Promise.all([this.#qtest.writeMemory(GO_ADDRESS, Uint8Array.of(1)), finished]);
    const changes = this.#changes;
    const records = await this.#qtest.readMemory(RECORDS_ADDRESS, RECORD_BYTES * steps);
    return { records, changes, highBefore };
  }

  /** Ends the process and resolves when it has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#kill();
    await this.#ended;
    process.off('exit', this.#kill);
    await rm(this.#scratch, { recursive: true, force: true });
  }

  #lineChanged(line: number, high: boolean): void {
    if (line !== MARK_LINE) {
      if (high) this.#high.add(line);
      else this.#high.delete(line);
      this.#changes.push({ stepsBefore: this.#marks, line, high });
      return;
    }
    if (high && ++this.#marks === this.#marksWanted) {
      this.#marksWanted = Infinity;
      this.#played?.();
    }
  }

  /** Ends the current list and all commands with an error, which says what QEMU did. */
  #fail(what: string): void {
    const said = this.#stderr.trim();
    const error = new UpcallError(
      'TOOL_FAILED',
      `QEMU ${this.#isClosing ? 'was closed' : what}${said === '' ? '' : `: ${said}`}`,
      { remedy: 'Try the same on its own command line, or name another one with --qemu' },
    );
    this.#qtest.fail(error);
    this.#played?.(error);
  }
}

function qemuArguments(rom: string): string[] {
  return [
    // A HPET would take over the lines of timer and clock.
    ...['-machine', 'pc,hpet=off', '-accel', 'tcg', '-icount', 'shift=0', '-m', '16', '-bios', rom],
    // The clock follows virtual time. The second serial port is the guest's mark.
    ...['-rtc', 'base=2000-01-01T00:00:00,clock=vm', '-serial', 'null', '-serial', 'null'],
    ...['-nodefaults', '-display', 'none', '-qtest-log', 'none', '-qtest', 'stdio'],
  ];
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
