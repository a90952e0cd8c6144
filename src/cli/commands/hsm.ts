/**
 * `upcall hsm`: runs a program that was written for ACRN, so that it finds /dev/acrn_hsm.
 *
 * Called by: main.ts.
 */

import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MAX_VCPUS } from '../../hypervisor/hypervisor.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { DEFAULT_MEMORY_MIB } from '../../vm/user-vm-options.js';
import type { Pin } from '../../vm/thread-pinning.js';
import { addFaultOptions, faultPlan, type FaultOptions } from '../fault-option.js';
import { chooseHypervisor } from '../hypervisor-choice.js';
import type { ServerPlan } from '../hsm-session.js';
import { parseClientTimeout, parseCount, parseMemory, parsePin, parseSpin } from '../option-values.js';
import { addPageOptions, pagePlan, type PageOptions } from '../page-option.js';
import type { CommandContext } from './run.js';

const EXAMPLES = `
The program opens /dev/acrn_hsm and makes its ioctls as on ACRN: each VM that it creates runs here. Nothing of the
program is changed. Its standard streams, signals and exit status are its own; upcall's lines go to standard error.
--memory is the RAM of each VM: at least what the program maps with SET_MEMSEG.

Examples:
  upcall hsm -- ./vm-sample                          the sample of the Linux kernel
  upcall hsm --halt-signal INT -- ./vm-sample        Ctrl-C it when its guest halts
  upcall hsm --stats --page -- ./vm-sample           requests in a browser, a table at the end
  upcall hsm --page --page-wait -- ./vm-sample       hold it in CREATE_VM until a browser has opened the page
  upcall --debug hsm -- ./vm-sample                  say why each ioctl is refused that is
  upcall hsm --trace boot.jsonl -- ./vm-sample       every move of every request (.jsonl, .pftrace or .parquet);
                                                     a second VM's go to boot-2.jsonl
  upcall hsm --shim -- gdb ./vm-sample               under a debugger; the program must be linked dynamically
  upcall hsm --serve /run/user/1000/hsm              one server for several programs, in one terminal
  upcall hsm --connect /run/user/1000/hsm -- ./vm-sample   each program in another one
  upcall hsm --memory 256 --as-service-vm -- acrn-dm --cpu_affinity 0 -m 256M -k bzImage -s 0:0,hostbridge vm1

With --connect, lines about a VM appear at the server, and events and errors at the program's terminal, too. --shim does without --as-service-vm.

Exit status: that of the program, 128 + N if signal N ended it, 2 if it could not be started.
See docs/acrn-programs.md.`;

/** A request that the program has had for this long is reported, and stays with the program. */
const REPORT_MS = 5000;

export interface HsmOptions extends FaultOptions, PageOptions {
  readonly hypervisor: string;
  readonly memory?: number;
  readonly vcpus?: number;
  readonly polling?: boolean;
  readonly spin?: number;
  readonly pin?: Pin;
  readonly clientTimeout?: number;
  readonly stats?: boolean;
  readonly trace?: string;
  readonly haltSignal?: NodeJS.Signals;
  readonly translate: boolean;
  readonly shim?: boolean;
  readonly serve?: string;
  readonly connect?: string;
  readonly asServiceVm?: boolean;
}

export function addHsmCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('hsm')
    .summary('run a program that was written for ACRN')
    .usage('[options] -- PROGRAM [ARGS…] | --serve SOCKET')
    .description('Runs a program so that it finds /dev/acrn_hsm, whose VMs run here.')
    .argument('[program...]', 'the program and its arguments, after --')
    .option(
      '-m, --memory <size>',
      `RAM of each VM in MiB, or with K, M, G (default: ${DEFAULT_MEMORY_MIB})`,
      parseMemory,
    )
    .option('--vcpus <number>', 'vCPUs of a VM whose creator names no CPUs, v86 has 1 (default: 1)', (text) =>
      parseCount('--vcpus', text, 1, MAX_VCPUS),
    )
    .option('--hypervisor <name|file>', 'v86, kvm, or the file of a hypervisor module; upcall doctor lists all', 'v86')
    .option('--no-translate', 'v86: interpret every instruction of the guest')
    .option('--polling', 'vCPUs poll for completion, also if the program does not ask for it')
    .option('--spin <us>', 'how long both sides spin before they sleep (default: adaptive)', parseSpin)
    .option(
      '--pin <cpus>',
      'auto, none, or CPUs such as 0,1: of the Service VM, then of vCPUs (default: auto)',
      parsePin,
    )
    .option(
      '--client-timeout <ms>',
      'time limit for a request, or none (default: none, as on ACRN; a request of 5 s is reported)',
      parseClientTimeout,
    )
    .option('--as-service-vm', 'the program finds what acrn-dm wants: a table of processors, huge pages, a lock folder')
    .option('--shim', 'compile and preload a C library instead of a seccomp filter: for debuggers and old kernels')
    .option('--serve <socket>', 'serve programs that are started with --connect, until Ctrl-C')
    .option('--connect <socket>', 'let the server at this socket run the VMs of the program')
    .option('--halt-signal <signal>', 'send this to the program when its guest has halted forever', parseSignal)
    .option('--trace <file>', 'record every move of every request: .jsonl, .pftrace (Perfetto) or .parquet')
    .option('--stats', 'print a table of the I/O requests of each VM at its end, on standard error');
  addFaultOptions(addPageOptions(command, 'of each VM', 'the program in CREATE_VM'), 'see upcall run --help')
    .addHelpText('after', EXAMPLES)
    .action(async (words: readonly string[], options: HsmOptions) => {
      checkUse(words, options, command);
      const { connect, serve, shim = false } = options;
      // Loaded on demand: neither --help nor an invalid option must wait for them.
      if (connect !== undefined) {
        await checkSupport(shim);
        const { runConnected } = await import('../hsm-connect.js');
        context.setStatus(await runConnected({ socket: resolve(connect), shim, program: words }, context.reporter));
        return;
      }
      // A server needs no more of the system than a shim: whether filters work is checked with
      // --connect.
      await checkSupport(shim || serve !== undefined);
      const plan = await planServer(options, context);
      const { runHsm, serveHsm } = await import('../hsm-session.js');
      if (serve !== undefined) await serveHsm(plan, resolve(serve), context.reporter);
      else context.setStatus(await runHsm({ ...plan, shim, program: words }, context.reporter));
    });
}

/** Options that concern the program, or no VM. The server has the others. */
const OPTIONS_OF_PROGRAMS: readonly string[] = ['connect', 'shim'];

/** Throws UpcallError if the options exclude each other, or the program is missing. */
function checkUse(
  program: readonly string[],
  { connect, serve, shim, asServiceVm }: HsmOptions,
  command: Command,
): void {
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  if (serve !== undefined && (connect !== undefined || shim === true || program.length > 0))
    throw new UpcallError('OPTION_INVALID', '--serve starts no program', {
      remedy: `Start it in another terminal: upcall hsm --connect ${serve} -- PROGRAM`,
    });
  if (shim === true && asServiceVm === true)
    throw new UpcallError('OPTION_INVALID', '--as-service-vm needs the filter, not --shim', {
      remedy: 'Leave out one of them',
    });
  if (serve === undefined && program.length === 0)
    throw new UpcallError('OPTION_INVALID', 'there is no program to run', {
      remedy: 'Give it after --, for example: upcall hsm -- ./vm-sample',
    });
  // Without it, upcall would take the program's options.
  if (program.length > 0 && !process.argv.includes('--'))
    throw new UpcallError('OPTION_INVALID', `-- is missing before the program ${program[0]}`, {
      remedy: `Write: upcall hsm [options] -- ${program.join(' ')}`,
    });
  if (connect === undefined) return;
  const wrong = command.options.find(
    (option) => isGiven(option.attributeName()) && !OPTIONS_OF_PROGRAMS.includes(option.attributeName()),
  );
  if (wrong !== undefined)
    throw new UpcallError('OPTION_INVALID', `${wrong.long ?? wrong.flags} is an option of the server`, {
      remedy: `Give it to upcall hsm --serve ${connect}`,
    });
}

/** Throws HYPERVISOR_UNAVAILABLE if programs cannot run here, with a shim or under a filter. */
async function checkSupport(isShim: boolean): Promise<void> {
  const { programSupport, shimSupport } = await import('../../acrn-programs/support.js');
  const support = isShim ? shimSupport() : programSupport();
  if (!support.available) throw new UpcallError('HYPERVISOR_UNAVAILABLE', support.reason, { remedy: support.remedy });
}

/** Throws UpcallError if the options are invalid. */
async function planServer(options: HsmOptions, context: CommandContext): Promise<ServerPlan> {
  const faults = await faultPlan(options);
  const page = pagePlan(options);
  const { canTrackWrites } = await import('../../acrn-programs/support.js');
  const tracksWrites = canTrackWrites();
  if (!tracksWrites && options.translate)
    context.reporter.line(
      'the guest runs without translation: this kernel does not show what a program writes (Linux 6.7)',
    );
  const hypervisor = await chooseHypervisor(options.hypervisor, { translate: options.translate && tracksWrites });
  const { trace } = options;
  return {
    hypervisor,
    tracksWrites: options.translate && tracksWrites,
    asServiceVm: options.asServiceVm === true,
    serviceVm: {
      ...(options.spin === undefined ? {} : { spinUs: options.spin }),
      ...(options.pin === undefined ? {} : { pin: options.pin }),
    },
    device: {
      memoryBytes: (options.memory ?? DEFAULT_MEMORY_MIB) * 2 ** 20,
      ...(options.vcpus === undefined ? {} : { vcpuCount: options.vcpus }),
      ...(options.polling === true ? { completionPolling: true } : {}),
      ...(options.clientTimeout === undefined
        ? { clientTimeoutMs: REPORT_MS, late: 'wait' }
        : { clientTimeoutMs: options.clientTimeout }),
      ...(faults === undefined ? {} : { faults }),
      statistics: options.stats === true || page !== undefined,
    },
    tools: {
      reporter: context.reporter,
      hypervisor: hypervisor.name,
      statistics: options.stats === true,
      debug: context.debug(),
      ...(page === undefined ? {} : { page }),
      ...(trace === undefined ? {} : { trace: (await import('../vm-trace-file.js')).vmTraceFiles(trace) }),
    },
    ...(options.haltSignal === undefined ? {} : { haltSignal: options.haltSignal }),
  };
}

function parseSignal(text: string): NodeJS.Signals {
  const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`;
  if (name in constants.signals) return name as NodeJS.Signals;
  throw new UpcallError('OPTION_INVALID', `--halt-signal ${text}: there is no such signal`, {
    remedy: 'Give a name, for example INT or TERM',
  });
}
