/** `upcall run`: a guest in this terminal. */

import { Option, type Command } from 'commander';
import { IMAGE_KINDS } from '../../hypervisor/boot/guest-image.js';
import { LATE_POLICIES } from '../../hsm/time-limit.js';
import { DEFAULT_MEMORY_MIB } from '../../vm/user-vm-options.js';
import { parseDevice, type DeviceOption } from '../device-option.js';
import { exitStatusHelp, type ExitStatus } from '../exit-status.js';
import { chooseHypervisor } from '../hypervisor-choice.js';
import { addFault, faultPlan, parseSeed } from '../fault-option.js';
import { parseClientTimeout, parseExpected, parseSpin, parseMemory, parseTimeout } from '../option-values.js';
import { pagePlan, parsePort } from '../page-option.js';
import type { Reporter } from '../reporter.js';
import type { SessionPlan } from '../session.js';
import { namedGuest, type Guest, type RunOptions } from './run-options.js';

const EXAMPLES = `
In a terminal every key is the guest's, Ctrl-C included; Ctrl-] leaves, and pressed twice it goes to the guest.
Without one, standard input is fed to the guest's serial port as fast as the guest takes it.
The guest's console is standard output. Events, and the table of --stats, go to standard error.

Examples:
  upcall run                                             the monitor: type help
  upcall run monitor --tour                              what a request is, by example
  upcall run --device my-device.js@0x500+4               then, in the monitor: in8 500
  upcall run --cmdline 'time in8 500 1000.; poweroff' --stats
  upcall run hello --device my-device.js@0x500,thread    the device in a thread of its own
  upcall run hello --device my-device.js@0x500,start=7   with options for its constructor
  upcall run --kernel bzImage --initrd initrd.gz --cmdline console=ttyS0 --memory 512
  upcall run debian                                      Debian's kernel and busybox, fetched with apt
  upcall run debian --run 'uname -a' --timeout 120       for scripts
  upcall run debian --page                               watch it in a browser: slots, rates, stop and step
  upcall run --hypervisor my-hypervisor.js guest.bin     see docs/write-a-hypervisor.md
  upcall run --fault 'port=0x70-0x71 read after=10: ones'

Fault rules: which requests, a colon, what becomes of them.
  client=uart16550 read after=100 every=3: flip=0x20     every third read after 100 with a bit flipped
  port=0x3f8-0x3ff write p=0.01: drop                    never answered, by chance
  mmio=0xd0000000+0x1000 size=4 times=1: crash           the client fails at its first such request
  pci=00:00.0 register=0: value=0x12345678               configuration space
  line=4: lose every=5                                   interrupts; also duplicate, delay=5ms
  client=acpi-pm from=2s until=5s: slow=10ms             also ones, stale, delay, remove

${exitStatusHelp(100)}`;

export interface CommandContext {
  readonly reporter: Reporter;
  readonly debug: () => boolean;
  /** Tells main how to end. */
  readonly setStatus: (status: ExitStatus) => void;
}

export function addRunCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('run')
    .summary('run a guest in this terminal')
    .description('Runs a guest in a User VM with the devices of a PC, its serial port in this terminal.');
  addGuestOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (guest: string | undefined, options: RunOptions) => {
      const plan = await planSession(guest, options, context);
      // Loaded when there is something to run: neither --help nor a mistake should wait for it.
      const { runSession } = await import('../session.js');
      context.setStatus(
        await runSession(plan, { input: process.stdin, output: process.stdout, reporter: context.reporter }),
      );
    });
}

/** The guest and the options of every command that runs one. */
export function addGuestOptions(command: Command): Command {
  return command
    .argument('[guest]', 'monitor, hello, debian, or a file: flat binary, multiboot, bzImage, ELF (default: monitor)')
    .option('-m, --memory <size>', `guest memory in MiB, or with K, M, G (default: ${DEFAULT_MEMORY_MIB})`, parseMemory)
    .option('-c, --cmdline <text>', "the guest's command line; for the monitor, commands separated by ;")
    .option('--kernel <file>', 'a kernel, instead of a named guest')
    .option('--initrd <file>', 'initial RAM disk, or the module of a multiboot kernel')
    .addOption(new Option('--kind <kind>', 'what the image is, if not recognised').choices(IMAGE_KINDS))
    .option('--no-acpi', 'give the guest no ACPI tables')
    .addOption(
      new Option('-d, --device <file@range>', 'attach a device module; may be given again')
        .argParser(addDevice)
        .default([], 'none'),
    )
    .option('--hypervisor <name|file>', 'v86, or the file of a hypervisor module; upcall doctor lists all', 'v86')
    .option('--polling', 'the vCPU polls for completion instead of sleeping: quick, and keeps a core busy')
    .option('--spin <us>', 'how long both sides look before they sleep (default: as long as it pays)', parseSpin)
    .option('--expect <text>', 'end with status 0 as soon as the guest prints this', parseExpected)
    .option('--timeout <seconds>', 'end with status 3 when the time is over', parseTimeout)
    .option('--page [port]', 'a live web page of the requests, for this machine only; prints its address', parsePort)
    .option('--page-host <address>', 'serve the page there instead of 127.0.0.1, unencrypted')
    .option('--stats', 'at the end, a table of the I/O requests on standard error')
    .addOption(
      new Option('--fault <rule>', 'let chosen requests or interrupts fail, see below; may be given again')
        .argParser(addFault)
        .default([], 'none'),
    )
    .addOption(
      new Option('--fault-file <file>', 'a file of such rules, one in a line; may be given again')
        .argParser((file: string, files: readonly string[]) => [...files, file])
        .default([], 'none'),
    )
    .option('--fault-seed <number>', 'of the chances in them; the table at the end tells it', parseSeed)
    .option(
      '--client-timeout <ms>',
      'how long a device may take for a request, or none (default: 5000)',
      parseClientTimeout,
    )
    .addOption(
      new Option('--late <policy>', 'a late device is taken out and reads all ones, or the guest waits for it').choices(
        LATE_POLICIES,
      ),
    )
    .option('--late-stacks', 'show where a late device waits; slows every promise down')
    .option('--run <commands>', 'debian: run these in its shell, then power off')
    .option('--tour', 'the monitor shows itself; without a terminal it powers off and prints the statistics');
}

/** What those options ask for. Throws UpcallError when they do not fit. */
export async function planSession(
  name: string | undefined,
  options: RunOptions,
  context: CommandContext,
): Promise<SessionPlan> {
  const hasTerminal = process.stdin.isTTY;
  const faults = await faultPlan(options);
  const page = pagePlan(options);
  // A file that is not there is told before the hypervisor is loaded; Debian is fetched only if
  // there is one.
  const named = name === 'debian' ? undefined : await namedGuest(name, options, hasTerminal);
  const hypervisor = await chooseHypervisor(options.hypervisor);
  const guest = named ?? (await debian(options, context.reporter));
  const memoryMiB = options.memory ?? guest.memoryMiB;
  return {
    hypervisor,
    ...(options.look === undefined ? {} : { spinUs: options.look }),
    vm: {
      name: guest.name,
      image: guest.image,
      ...(memoryMiB === undefined ? {} : { memoryMiB }),
      completionPolling: options.polling === true,
      ...(options.clientTimeout === undefined ? {} : { clientTimeoutMs: options.clientTimeout }),
      ...(options.late === undefined ? {} : { late: options.late }),
      lateStacks: options.lateStacks === true,
      ...(faults === undefined ? {} : { faults }),
    },
    devices: options.device,
    ...(options.expect === undefined ? {} : { expect: options.expect }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...(page === undefined ? {} : { page }),
    statistics: options.stats === true || (options.tour === true && !hasTerminal),
    debug: context.debug() || options.lateStacks === true,
  };
}

async function debian(options: RunOptions, reporter: Reporter): Promise<Guest> {
  const { debianGuest } = await import('./debian-guest.js');
  return debianGuest(options, reporter);
}

function addDevice(text: string, devices: readonly DeviceOption[]): DeviceOption[] {
  return [...devices, parseDevice(text)];
}
