/**
 * `upcall serve`: gives PCI cards to another virtual machine monitor, for example QEMU, by
 * vfio-user.
 *
 * Called by: main.ts.
 */

import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { LATE_POLICIES, type LatePolicy } from '../../hsm/late-policy.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { CardSource } from '../card-source.js';
import { parseDevice, type DeviceOption } from '../device-option.js';
import { diskCards } from '../disk-card.js';
import { parseDisk, type DiskOption } from '../disk-option.js';
import { ExitStatus, exitStatusHelp, type StatusMeanings } from '../exit-status.js';
import { addFaultOptions, faultPlan, type FaultOptions } from '../fault-option.js';
import { netCards } from '../net-card.js';
import { parseNet, type NetOption } from '../net-option.js';
import { parseClientTimeout } from '../option-values.js';
import { addPageOptions, pagePlan, type PageOptions } from '../page-option.js';
import type { Reporter } from '../reporter.js';
import type { ServePlan } from '../serve-session.js';
import type { CommandContext } from './run.js';

const STATUSES: StatusMeanings = [
  [ExitStatus.OK, 'a signal ended it (Ctrl-C, SIGTERM, SIGHUP), or the button of the page'],
  [ExitStatus.BAD_INPUT, 'invalid usage or input, or a socket that cannot be listened at'],
  [ExitStatus.INTERNAL_ERROR, 'an unexpected error, in upcall or in one of your devices'],
];

const EXAMPLES = `
Each socket has one card: the first --vfio-user the first --device, --disk or --net, and so on.
The monitor connects to the socket and has the card as a PCI function of its machine. It may come and go; each one
finds the card as after power-on. QEMU can do this since version 10.1, see docs/real-vmms.md.

Examples:
  upcall serve --vfio-user card.sock --device my-card.js@pci
  qemu-system-x86_64 -machine q35,memory-backend=ram -m 512 -object memory-backend-memfd,id=ram,size=512M \\
    -device '{"driver":"vfio-user-pci","socket":{"path":"card.sock","type":"unix"}}' …
  upcall serve --vfio-user card.sock --device my-card.js@pci,start=7     with options for its constructor
  upcall serve --vfio-user card.sock --device my-card.js@pci --watch     each save replaces the card
  upcall serve --vfio-user disk.sock --disk disk.img                     a virtio disk
  upcall serve --vfio-user net.sock --net hub:lab                        a virtio network card on a hub
  upcall serve --vfio-user a.sock --device a.js@pci --vfio-user b.sock --disk b.img
  upcall serve --vfio-user card.sock --device my-card.js@pci --page      its requests in a browser
  upcall serve --vfio-user card.sock --device my-card.js@pci --trace card.jsonl --stats

Ctrl-C ends it.

${exitStatusHelp(100, STATUSES)}`;

export interface ServeOptions extends FaultOptions, PageOptions {
  readonly clientTimeout?: number;
  readonly late?: LatePolicy;
  readonly lateStacks?: boolean;
  readonly stats?: boolean;
  readonly trace?: string;
  readonly watch?: boolean;
}

/** A card of the command line, in the order of the options. */
type CardOption =
  | { readonly kind: 'device'; readonly option: DeviceOption; readonly text: string }
  | { readonly kind: 'disk'; readonly option: DiskOption }
  | { readonly kind: 'net'; readonly option: NetOption };

export function addServeCommand(program: Command, context: CommandContext): void {
  const sockets: string[] = [];
  const cards: CardOption[] = [];
  const repeatable = (flags: string, about: string, add: (text: string) => unknown): Option =>
    new Option(flags, `${about}; repeatable`).argParser((text: string) => void add(text));
  const command = program
    .command('serve')
    .summary('give PCI cards to QEMU or another monitor')
    .usage('--vfio-user SOCKET --device FILE@pci [options]')
    .description('Gives PCI cards to another virtual machine monitor by vfio-user.')
    .addOption(
      repeatable('--vfio-user <socket>', 'the socket of the next card', (text) => sockets.push(parseSocket(text))),
    )
    .addOption(
      repeatable('-d, --device <file@pci>', 'a device module that exports a PCI card, with its options', (text) =>
        cards.push({ kind: 'device', option: parseCard(text), text }),
      ),
    )
    .addOption(
      repeatable('--disk <file[,word…]>', 'a virtio disk with the contents of a file, see upcall run --help', (text) =>
        cards.push({ kind: 'disk', option: inThisThread(parseDisk(text), text) }),
      ),
    )
    .addOption(
      repeatable('--net <network[,mac=ADDRESS][,pcap=FILE]>', 'a virtio network card, see upcall run --help', (text) =>
        cards.push({ kind: 'net', option: parseNet(text) }),
      ),
    )
    .option('--watch', 'replace the card of --device at each save of its module, also while a monitor has it')
    .option('--trace <file>', 'record every move of every request: .jsonl, .pftrace (Perfetto) or .parquet')
    .option('--stats', 'print a table of the I/O requests of each card at the end, on standard error')
    .option(
      '--client-timeout <ms>',
      'time limit for a card to complete a request, or none (default: 5000)',
      parseClientTimeout,
    )
    .addOption(
      new Option('--late <policy>', 'remove a late card (it then reads all ones), or wait for it').choices(
        LATE_POLICIES,
      ),
    )
    .option('--late-stacks', 'show where a late card waits; slows down every promise');
  addFaultOptions(addPageOptions(command, 'of each card'), 'see upcall run --help')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ServeOptions) => {
      const plan = await planServe(sockets, cards, options, context);
      // Loaded on demand: neither --help nor an invalid option must wait for it.
      const { runServe } = await import('../serve-session.js');
      context.setStatus(await runServe(plan, context.reporter));
    });
}

/** Throws UpcallError if there is no path. */
function parseSocket(text: string): string {
  if (text !== '') return resolve(text);
  throw new UpcallError('OPTION_INVALID', '--vfio-user: the path of the socket is empty', {
    remedy: 'Give a path: upcall serve --vfio-user card.sock --device FILE@pci',
  });
}

/** Throws UpcallError if the options are invalid. */
async function planServe(
  sockets: readonly string[],
  cards: readonly CardOption[],
  options: ServeOptions,
  { reporter, debug }: CommandContext,
): Promise<ServePlan> {
  if (sockets.length === 0 || sockets.length !== cards.length)
    throw new UpcallError(
      'OPTION_INVALID',
      `${sockets.length} --vfio-user and ${cards.length} ${cards.length === 1 ? 'card' : 'cards'}: each socket has one card`,
      {
        remedy:
          'Give a socket for each --device, --disk and --net: upcall serve --vfio-user card.sock --device FILE@pci',
      },
    );
  if (new Set(sockets).size !== sockets.length)
    throw new UpcallError('OPTION_INVALID', 'a socket is given twice', { remedy: 'Give each card a path of its own' });
  const faults = await faultPlan(options);
  const page = pagePlan(options);
  const { trace } = options;
  return {
    cards: sourcesOf(cards, reporter, options.watch === true).map((source, i) => ({
      socket: sockets[i] as string,
      source,
    })),
    vm: {
      ...(options.clientTimeout === undefined ? {} : { clientTimeoutMs: options.clientTimeout }),
      ...(options.late === undefined ? {} : { late: options.late }),
      ...(faults === undefined ? {} : { faults }),
      ...(options.lateStacks === true ? { lateStacks: true } : {}),
      statistics: options.stats === true || page !== undefined,
    },
    tools: {
      reporter,
      hypervisor: 'vfio-user',
      statistics: options.stats === true,
      debug: debug() || options.lateStacks === true,
      ...(page === undefined ? {} : { page }),
      ...(trace === undefined ? {} : { trace: (await import('../vm-trace-file.js')).vmTraceFiles(trace) }),
    },
  };
}

function sourcesOf(cards: readonly CardOption[], reporter: Reporter, isWatched: boolean): CardSource[] {
  const disks = diskCards(cards.flatMap((card) => (card.kind === 'disk' ? [card.option] : [])))[Symbol.iterator]();
  const nets = netCards(
    cards.flatMap((card) => (card.kind === 'net' ? [card.option] : [])),
    reporter,
  )[Symbol.iterator]();
  return cards.map((card) => {
    if (card.kind !== 'device') return (card.kind === 'disk' ? disks : nets).next().value as CardSource;
    return {
      option: `--device ${card.text}`,
      create: async (vm) => {
        if (isWatched) {
          const { watchedCard } = await import('../watch/served-card.js');
          return watchedCard(vm, card.option);
        }
        const { loadCard } = await import('../../device-model/placement/device-module.js');
        const { module, options } = card.option;
        const { memory, clock } = vm;
        return loadCard(module.href, { interruptLine: (gsi) => vm.interruptLine(gsi), memory, clock }, options);
      },
    };
  });
}

/** Throws OPTION_INVALID for a device that is not a card. */
function parseCard(text: string): DeviceOption {
  const option = parseDevice(text);
  if ('type' in option.place)
    throw new UpcallError('OPTION_INVALID', `--device ${text}: vfio-user has PCI cards only`, {
      remedy: 'Write FILE@pci, for a module that exports a PCI card (docs/write-a-device.md)',
    });
  return inThisThread(option, text);
}

/** Throws OPTION_INVALID. */
function inThisThread<T extends { readonly inOwnThread: boolean }>(option: T, text: string): T {
  if (option.inOwnThread)
    throw new UpcallError('OPTION_INVALID', `${text}: a card that is served has no thread of its own`, {
      remedy: 'Leave out thread, and run one upcall serve for each card that computes for long',
    });
  return option;
}
