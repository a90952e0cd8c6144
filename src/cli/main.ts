#!/usr/bin/env node
/**
 * The command line of upcall: parses arguments, reports errors and sets the exit status
 * (exit-status.ts). The commands are in commands/.
 */

import { Command, CommanderError } from 'commander';
import { packageVersion } from '../dashboard/package-version.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { addCompareCommand } from './commands/compare.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addHsmCommand } from './commands/hsm.js';
import { addNewCommand } from './commands/new.js';
import { addRunCommand, type CommandContext } from './commands/run.js';
import { addServeCommand } from './commands/serve.js';
import { addTopCommand } from './commands/top.js';
import { addTraceCommand } from './commands/trace.js';
import { ExitStatus } from './exit-status.js';
import { Reporter } from './reporter.js';
import { restoreTerminal } from './terminal.js';
import { thrownText } from './thrown-text.js';
import { verdictOn } from './uncaught.js';

const reporter = new Reporter(process.stderr);
// If the reader of the messages has closed them, they are lost. That is not a failure.
process.stderr.on('error', () => undefined);

/** The exit status of this process. `upcall hsm` sets that of its program. */
let status: number = ExitStatus.OK;
const program = new Command();
/** The command whose usage is wrong. Undefined if none was found. */
let usedCommand: Command | undefined;
const isDebug = (): boolean => program.opts<{ debug?: boolean }>().debug === true || isSet(process.env['UPCALL_DEBUG']);
const context: CommandContext = {
  reporter,
  debug: isDebug,
  setStatus: (ended) => (status = ended),
};

process.on('uncaughtException', endUnlessTaken);
// Node would put a rejection that is no Error into an error of its own, without its value.
process.on('unhandledRejection', endUnlessTaken);

program
  .name('upcall')
  .description('I/O request handling for virtual machines, byte-compatible with the ACRN hypervisor')
  .version(packageVersion(), '-V, --version')
  .option('--debug', 'print the stacks of errors, and why ioctls are refused (or set UPCALL_DEBUG=1)')
  .showSuggestionAfterError()
  .configureHelp({ showGlobalOptions: true })
  .exitOverride()
  // Errors are reported below, in one line each.
  .configureOutput({ outputError: () => undefined })
  .addHelpText(
    'after',
    `
Examples:
  upcall run              an interactive guest: type help in it
  upcall run --tour       a guided tour of it
  upcall run --help       guests, devices of your own, statistics, exit status
  upcall trace --help     every state change of every request, for ui.perfetto.dev, jq or DuckDB
  upcall top --help       rates, latencies and slots, updated live
  upcall hsm --help       C programs that were written for ACRN
  upcall serve --help     PCI cards for QEMU and other monitors
  upcall compare --help   our devices against those of a QEMU
  upcall new --help       a device of your own, with its test
  upcall doctor           what runs on this machine`,
  );
addRunCommand(program, context);
addTraceCommand(program, context);
addTopCommand(program, context);
addHsmCommand(program, context);
addServeCommand(program, context);
addCompareCommand(program, context);
addNewCommand(program, context);
addDoctorCommand(program, context);
for (const command of program.commands) {
  command.copyInheritedSettings(program);
  command.exitOverride((error) => {
    usedCommand = command;
    throw error;
  });
}

try {
  if (process.argv.length > 2) await program.parseAsync();
  else program.outputHelp();
} catch (error) {
  status = report(error);
}
// A slow reader may not have everything yet. Sessions have flushed the console already.
await Promise.all([process.stdout, process.stderr].map(flushed));
process.exit(status);

/** Ends the process, unless the session has dealt with the error: `true` (uncaught.ts). */
function endUnlessTaken(error: unknown): void {
  const verdict = verdictOn(error);
  if (verdict === true) return;
  restoreTerminal();
  reporter.state.isRaw = false;
  process.exit(report(error, verdict === false ? [] : verdict));
}

/**
 * Reports an error, in one line if the user can fix it. `suspects`: the devices that it may come
 * from. Returns the exit status.
 */
function report(error: unknown, suspects: readonly string[] = []): ExitStatus {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return ExitStatus.OK;
    // Options without a command: commander has printed the help instead of an error.
    if (error.code !== 'commander.help') {
      const message = error.message.replace(/^error: /, '').replace(/\.$/, '');
      reporter.line(`${message}. Try upcall ${usedCommand === undefined ? '' : `${usedCommand.name()} `}--help`);
    }
    return ExitStatus.BAD_INPUT;
  }
  if (error instanceof UpcallError) {
    reporter.line(error.describe());
    if (isDebug()) reporter.text(`${error.stack ?? ''}\n`);
    return error.code === 'TIMED_OUT' ? ExitStatus.TIMED_OUT : ExitStatus.BAD_INPUT;
  }
  const hint = !(error instanceof Error)
    ? '. Throw an Error, whose stack says where'
    : suspects.length > 1
      ? '. Append ,thread to each --device: in a thread of its own it is named'
      : isDebug()
        ? ''
        : '. Set UPCALL_DEBUG=1 for the stack; if it is not in one of your devices, please report it';
  reporter.line(`unexpected error: ${thrownText(error, suspects)}${hint}`);
  if (isDebug() && error instanceof Error) reporter.text(`${error.stack ?? ''}\n`);
  return ExitStatus.INTERNAL_ERROR;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('error', () => resolve());
    if (stream.writable) stream.write('', () => resolve());
    else resolve();
  });
}

function isSet(variable: string | undefined): boolean {
  return variable !== undefined && variable !== '' && variable !== '0';
}
