/**
 * `upcall compare`: plays random programs on our devices and on those of a QEMU.
 *
 * Called by: main.ts.
 */

import { Argument, Option, type Command } from 'commander';
import { COMPARED_DEVICES } from '../../comparison/compared-devices.js';
import { Comparison } from '../../comparison/comparison.js';
import { QemuDevice } from '../../comparison/qemu/qemu-device.js';
import { QemuMachine, qemuVersion } from '../../comparison/qemu/qemu-machine.js';
import { notPlayedText, resultText } from '../../comparison/result-text.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { ExitStatus } from '../exit-status.js';
import { parseTimeout } from '../option-values.js';
import { ENDING_SIGNALS } from '../session-end.js';
import type { CommandContext } from './run.js';

const DEFAULT_QEMU = 'qemu-system-x86_64';
/** Interval of lines about the progress. */
const PROGRESS_MS = 1000;
/**
 * A program and the device's prologue must fit in one list of the guest in QEMU. An action has at
 * most 20 steps, and a list 3583 (MAX_STEPS in comparison/qemu/player.ts).
 */
const MAX_LENGTH = 120;

interface CompareOptions {
  readonly with: string;
  readonly qemu: string;
  readonly seed: number;
  readonly programs: number;
  readonly length: number;
  readonly timeout?: number;
}

export function addCompareCommand(program: Command, context: CommandContext): void {
  program
    .command('compare')
    .summary("compare our devices with QEMU's")
    .description(
      'Plays random register programs on a device of upcall and on that of a QEMU, within the states that the data ' +
        'sheet defines, and prints what differs. A difference that the data sheet decides is printed as explained.',
    )
    .addArgument(
      new Argument('<device>', 'the device, or all').choices([...COMPARED_DEVICES.map(({ name }) => name), 'all']),
    )
    .addOption(new Option('--with <partner>', 'what to compare with').choices(['qemu']).default('qemu'))
    .option('--qemu <program>', 'the QEMU to start', DEFAULT_QEMU)
    .option('--seed <number>', 'seed of the first program; the next ones count up', whole('--seed', 0, 2 ** 31 - 1), 1)
    .option('--programs <number>', 'programs for each device', whole('--programs', 1, 1_000_000), 100)
    .option('--length <number>', 'actions of a program', whole('--length', 1, MAX_LENGTH), 40)
    .option('--timeout <seconds>', 'end after this time with what was found', parseTimeout)
    .addHelpText(
      'after',
      `
Exit status: 0 if every difference is explained, 1 if not, 2 for invalid usage or without a QEMU, 3 if the timeout
passed before all programs were played, 130 after Ctrl-C. See docs/compare.md.

Examples:
  upcall compare all
  upcall compare uart --programs 1000
  upcall compare uart --seed 45 --programs 1      one program again
  upcall compare pit --qemu ~/qemu/build/qemu-system-x86_64`,
    )
    .action(async (device: string, options: CompareOptions) =>
      context.setStatus(await compare(device, options, context)),
    );
}

async function compare(device: string, options: CompareOptions, context: CommandContext): Promise<ExitStatus> {
  const { qemu, seed, programs, length, timeout } = options;
  const version = await qemuVersion(qemu);
  process.stdout.write(`${version}, seed ${seed}\n`);
  const endMs = performance.now() + (timeout ?? Infinity);
  const stop = { isInterrupted: false };
  const interrupt = (): void => void (stop.isInterrupted = true);
  for (const signal of ENDING_SIGNALS) process.on(signal, interrupt);
  const machine = await QemuMachine.start(qemu);
  let status: ExitStatus = ExitStatus.OK;
  try {
    for (const compared of COMPARED_DEVICES) {
      if (device !== 'all' && device !== compared.name) continue;
      if (stop.isInterrupted || performance.now() >= endMs) {
        process.stdout.write(`${notPlayedText(compared)}\n`);
        if (status === ExitStatus.OK) status = ExitStatus.TIMED_OUT;
        continue;
      }
      let reportAtMs = performance.now() + PROGRESS_MS;
      const comparison = new Comparison(compared, new QemuDevice(machine, compared.port, compared.line?.number));
      const result = await comparison.run({
        seed,
        programs,
        length,
        goOn: (done) => {
          if (performance.now() >= reportAtMs) {
            context.reporter.line(`${compared.name}: ${done} of ${programs} programs`);
            reportAtMs += PROGRESS_MS;
          }
          return !stop.isInterrupted && performance.now() < endMs;
        },
      });
      process.stdout.write(`${resultText(result, 'qemu', programs).join('\n')}\n`);
      if (result.finding !== undefined) status = ExitStatus.GUEST_FAILED;
      else if (result.programs < programs && status === ExitStatus.OK) status = ExitStatus.TIMED_OUT;
    }
  } finally {
    for (const signal of ENDING_SIGNALS) process.off(signal, interrupt);
    await machine.close();
  }
  return stop.isInterrupted ? ExitStatus.INTERRUPTED : status;
}

function whole(option: string, low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
    if (value >= low && value <= high) return value;
    throw new UpcallError('OPTION_INVALID', `${option} ${text}: expected a whole number from ${low} to ${high}`, {
      remedy: `Give a number, for example ${option} 100`,
    });
  };
}
