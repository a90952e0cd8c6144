/**
 * `upcall run`: runs a guest in this terminal. Also the options that `trace` and `top` share with
 * it, and their translation into a SessionPlan.
 *
 * Called by: main.ts; trace.ts and top.ts for what they share.
 */

import { Option, type Command } from 'commander';
import { IMAGE_KINDS } from '../../hypervisor/boot/guest-image.js';
import { MAX_VCPUS, type Hypervisor } from '../../hypervisor/hypervisor.js';
import { LATE_POLICIES } from '../../hsm/late-policy.js';
import { DEFAULT_MEMORY_MIB } from '../../vm/user-vm-options.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { coveragePlan } from '../coverage/coverage-option.js';
import { parseDevice, type DeviceOption } from '../device-option.js';
import { addDisk } from '../disk-option.js';
import { chooseHypervisor } from '../hypervisor-choice.js';
import { isModuleName } from '../hypervisor-module.js';
import { addFaultOptions, faultPlan } from '../fault-option.js';
import {
  parseClientTimeout,
  parseCount,
  parseExpected,
  parseMemory,
  parsePin,
  parseSpin,
  parseTimeout,
  refuseOldSpin,
} from '../option-values.js';
import { parseMirror } from '../mirror-option.js';
import { addNet } from '../net-option.js';
import { addPageOptions, pagePlan } from '../page-option.js';
import { ConsoleCard } from '../console-card.js';
import { addPort } from '../port-option.js';
import type { Snapshot } from '../../vm/snapshot/snapshot.js';
import type { Reporter } from '../reporter.js';
import type { SessionPlan } from '../session.js';
import { withEnding, type SessionEnding } from '../session-ending.js';
import { addShare } from '../share-option.js';
import { cardsOf } from './run-cards.js';
import { RUN_EXAMPLES } from './run-examples.js';
import { namedSnapshot, savePlan } from './run-snapshot.js';
import { namedGuest, parseModule, type Guest, type ModuleOption, type RunOptions } from './run-options.js';

/** What main.ts gives to each command. */
export interface CommandContext {
  readonly reporter: Reporter;
  /** Whether `--debug` is given. */
  readonly debug: () => boolean;
  /** Sets the exit status of the process. */
  readonly setStatus: (status: number) => void;
}

export function addRunCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('run')
    .summary('run a guest in this terminal')
    .description('Runs a guest in a User VM with the devices of a PC, its serial port in this terminal.');
  addGuestOptions(command)
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (guest: string | undefined, options: RunOptions) => {
      const { reporter } = context;
      const status = await withEnding(
        options,
        reporter,
        async (ending) => {
          const plan = await planSession(guest, options, context, ending);
          return guest === 'debian' ? bootedDebian(plan, options) : plan;
        },
        async (plan, ending) => {
          // Loaded on demand: neither --help nor an invalid option must wait for it.
          const { runSession } = await import('../session.js');
          return runSession(plan, { input: process.stdin, output: process.stdout, reporter }, ending);
        },
      );
      context.setStatus(status);
    });
}

/** Adds the guest argument and the options that every command with a guest has. */
export function addGuestOptions(command: Command): Command {
  command
    .argument(
      '[guest]',
      'monitor, hello, smp, debian, or a file: flat binary, multiboot, bzImage, ELF, BIOS, a saved machine (default: monitor)',
    )
    .option('-m, --memory <size>', `guest memory in MiB, or with K, M, G (default: ${DEFAULT_MEMORY_MIB})`, parseMemory)
    .option('--vcpus <number>', 'vCPUs of the guest, up to 16 where the hypervisor can (default: 1)', (text) =>
      parseCount('--vcpus', text, 1, MAX_VCPUS),
    )
    .option(
      '-c, --cmdline <text>',
      'the command line of a multiboot, Linux or ELF guest; for the monitor, commands separated by ;',
    )
    .option('--kernel <file>', 'a kernel, instead of a named guest')
    .option('--initrd <file>', 'initial RAM disk, or the first module of a multiboot kernel')
    .addOption(
      new Option(
        '--module <file[,text]>',
        'a module of a multiboot kernel, with its string; for debian, a .ko file or the name of a module of its ' +
          'kernel, with its parameters; repeatable',
      )
        .argParser((text: string, modules: readonly ModuleOption[]) => [...modules, parseModule(text)])
        .default([], 'none'),
    )
    .addOption(new Option('--kind <kind>', 'format of the image, if it is not recognised').choices(IMAGE_KINDS))
    .option('--no-acpi', 'give the guest no ACPI tables')
    .addOption(
      new Option(
        '-d, --device <file@range>',
        'attach a device module at ports or mmio: addresses, decimal unless 0x, or a card at pci or pci:00:05.0; repeatable',
      )
        .argParser(addDevice)
        .default([], 'none'),
    )
    .option('--watch', 'load the modules of --device anew when their files are saved, while the guest runs')
    .addOption(
      new Option(
        '--disk <file[,word…]>',
        'give the guest a disk with the contents of a file; words: ro, overlay=FILE, format=qcow2, queues=N, thread; repeatable',
      )
        .argParser(addDisk)
        .default([], 'none'),
    )
    .addOption(
      new Option(
        '--net <network[,mac=ADDRESS][,pcap=FILE][,thread]>',
        'give the guest a network card: a virtio device on passt, the network of this machine, or on hub:NAME, ' +
          'which VMs share; repeatable',
      )
        .argParser(addNet)
        .default([], 'none'),
    )
    .option(
      '--console',
      'the terminal is a virtio console instead of the serial port: debian runs its shell on /dev/hvc0',
    )
    .addOption(
      new Option(
        '--port <name=file>',
        'give the guest /dev/virtio-ports/NAME: what it writes goes to a file, or with NAME=unix:SOCKET programs of ' +
          'this machine connect to it; repeatable',
      )
        .argParser(addPort)
        .default([], 'none'),
    )
    .option('--entropy', 'give the guest a virtio entropy device: its /dev/hwrng')
    .addOption(
      new Option(
        '--share <dir[,rw][,thread][,tag=name]>',
        'share this folder over virtio, read-only without rw: debian mounts it at /mnt/TAG (default tag: share); ' +
          'repeatable',
      )
        .argParser(addShare)
        .default([], 'none'),
    )
    .option('--hypervisor <name|file>', 'v86, kvm, or the file of a hypervisor module; upcall doctor lists all', 'v86')
    .option('--polling', 'the vCPU polls for completion instead of sleeping: fast, but keeps a core busy')
    .option('--spin <us>', 'how long both sides spin before they sleep (default: adaptive)', parseSpin)
    .option('--pin <cpus>', 'auto, none, or CPUs: of the Service VM, then of vCPUs (default: auto)', parsePin)
    .addOption(new Option('--look <us>').argParser(refuseOldSpin).hideHelp())
    .option('--expect <text>', 'end with status 0 as soon as the guest prints this', parseExpected)
    .option('--timeout <seconds>', 'end with status 3 after this time', parseTimeout);
  addPageOptions(command, 'of the requests on this machine')
    .option('--stats', 'print a table of the I/O requests at the end, on standard error')
    .option(
      '--coverage [file]',
      'report which registers of --device the guest accessed, or write it to a file as JSON',
    );
  return addFaultOptions(command, 'see below')
    .option(
      '--client-timeout <ms>',
      'time limit for a device to complete a request, or none (default: 5000)',
      parseClientTimeout,
    )
    .addOption(
      new Option('--late <policy>', 'remove a late device (it then reads all ones), or wait for it').choices(
        LATE_POLICIES,
      ),
    )
    .option('--late-stacks', 'show where a late device waits; slows down every promise')
    .option('--overlay <folder>', 'debian: put the files of this folder over its root; at most 256 MiB')
    .option(
      '--root [overlay]',
      'debian: a root file system of Debian packages with apt, instead of busybox; changes are kept in the qcow2 ' +
        'file OVERLAY, otherwise lost at the end',
    )
    .option(
      '--mirror <url>',
      'debian: fetch it from this mirror, with signatures checked, instead of with apt',
      parseMirror,
    )
    .option(
      '--save <file>',
      'save the machine to this file: debian at its prompt, any guest at Ctrl-] s; run goes on from it',
    )
    .option('--save-after <text>', 'save it when the guest prints this text')
    .option('--cold', 'debian: boot it, instead of going on from its booted state in the cache')
    .option('--run <commands>', 'debian: run these in its shell, then power off; the status is 1 if they fail')
    .option(
      '--tour',
      'the monitor demonstrates itself; without a terminal it then powers off and prints the statistics',
    );
}

/**
 * Turns the options into a plan: loads the hypervisor and the guest's image, and fetches Debian.
 * Rejects with UpcallError if options are invalid or contradict each other, or a file or the
 * hypervisor cannot be used, and as debianGuest.
 */
export async function planSession(
  name: string | undefined,
  options: RunOptions,
  context: CommandContext,
  ending: SessionEnding,
): Promise<SessionPlan> {
  const hasTerminal = process.stdin.isTTY;
  if (options.watch === true && options.device.length === 0)
    throw new UpcallError('OPTION_INVALID', '--watch has no file to watch', {
      remedy: 'Give a device module as well, for example --device my-device.js@0x500+4',
    });
  const coverage = coveragePlan(options.coverage, options.device.length);
  const faults = await faultPlan(options);
  const page = pagePlan(options);
  const save = await savePlan(name, options, hasTerminal);
  // A missing file is reported before the hypervisor is loaded. Debian is fetched only if a
  // hypervisor runs here.
  const snapshot = await namedSnapshot(name, options);
  const named =
    snapshot === undefined && name !== 'debian' ? await namedGuest(name, options, hasTerminal) : savedGuest(snapshot);
  const hypervisor = await chooseHypervisor(options.hypervisor);
  const guest = named ?? (await debian(options, hypervisor, context.reporter, ending));
  const { rootDisk } = guest;
  const withRoot = rootDisk === undefined ? options : { ...options, disk: [rootDisk, ...options.disk] };
  const memoryMiB = options.memory ?? guest.memoryMiB;
  const hasConsole = options.console === true || options.port.length > 0;
  const consoleCard = hasConsole ? new ConsoleCard(options.console === true, options.port) : undefined;
  return {
    hypervisor,
    ...(isModuleName(options.hypervisor) ? { hypervisorModule: options.hypervisor } : {}),
    ...(options.spin === undefined ? {} : { spinUs: options.spin }),
    ...(options.pin === undefined ? {} : { pin: options.pin }),
    vm: {
      name: guest.name,
      ...(guest.image === undefined ? {} : { image: guest.image }),
      ...(memoryMiB === undefined ? {} : { memoryMiB }),
      ...(options.vcpus === undefined ? {} : { vcpus: options.vcpus }),
      completionPolling: options.polling === true,
      ...(options.clientTimeout === undefined ? {} : { clientTimeoutMs: options.clientTimeout }),
      ...(options.late === undefined ? {} : { late: options.late }),
      lateStacks: options.lateStacks === true,
      ...(faults === undefined ? {} : { faults }),
    },
    devices: options.device,
    watchFiles: options.watch === true,
    cards: [...cardsOf(withRoot, context.reporter), ...(consoleCard === undefined ? [] : [consoleCard])],
    ...(consoleCard?.terminal === undefined ? {} : { terminal: consoleCard.terminal }),
    ...(options.expect === undefined ? {} : { expect: options.expect }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...(page === undefined ? {} : { page }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(save === undefined ? {} : { save }),
    ...(guest.announce === undefined ? {} : { announce: guest.announce }),
    ...(coverage === undefined ? {} : { coverage }),
    statistics: options.stats === true || (options.tour === true && !hasTerminal),
    debug: context.debug() || options.lateStacks === true,
  };
}

/** Loaded on demand, as no other guest needs it. */
async function debian(
  options: RunOptions,
  hypervisor: Hypervisor,
  reporter: Reporter,
  ending: SessionEnding,
): Promise<Guest> {
  const { debianGuest } = await import('./debian-guest.js');
  return debianGuest(options, hypervisor, reporter, ending);
}

/** Its image is what was saved. */
function savedGuest(snapshot: Snapshot | undefined): Guest | undefined {
  return snapshot && { name: snapshot.parts.name };
}

/** Loaded on demand, too. */
async function bootedDebian(plan: SessionPlan, options: RunOptions): Promise<SessionPlan> {
  const { fromBootedState } = await import('../debian/booted-state.js');
  return fromBootedState(plan, options);
}

function addDevice(text: string, devices: readonly DeviceOption[]): DeviceOption[] {
  return [...devices, parseDevice(text)];
}
