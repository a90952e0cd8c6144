/**
 * runServe: serves PCI cards to other virtual machine monitors until a signal ends it.
 *
 * Called by: `upcall serve`.
 */

import { basename, extname } from 'node:path';
import { isThreadPlacement } from '../device-model/placement/thread-placement.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { Deferred } from '../sync/deferred.js';
import { serveVfioUser, type ServedCard, type ServeOptions } from '../vfio-user/serve.js';
import type { UserVm } from '../vm/user-vm.js';
import type { CardSource } from './card-source.js';
import { ExitStatus } from './exit-status.js';
import type { Reporter } from './reporter.js';
import { VmTools, type VmToolsOptions } from './vm-tools.js';

export interface ServePlan {
  readonly cards: readonly { readonly socket: string; readonly source: CardSource }[];
  readonly vm: Pick<ServeOptions, 'clientTimeoutMs' | 'late' | 'lateStacks' | 'faults' | 'statistics'>;
  readonly tools: VmToolsOptions;
}

const SHARED_RAM = '-m 512 -object memory-backend-memfd,id=ram,size=512M -machine memory-backend=ram';
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Returns the exit status. Rejects with UpcallError if a card cannot be served. */
export async function runServe(plan: ServePlan, reporter: Reporter): Promise<ExitStatus> {
  const ended = new Deferred<undefined>();
  const end = (): void => ended.resolve(undefined);
  for (const signal of ENDING_SIGNALS) process.on(signal, end);
  const served: ServedCard[] = [];
  const tools: VmTools[] = [];
  try {
    const names = socketNames(plan.cards.map(({ socket }) => socket));
    for (const [index, { socket, source }] of plan.cards.entries()) {
      const name = names[index] as string;
      // With several cards each line says whose it is.
      const own = plan.cards.length === 1 ? { reporter } : { reporter: reporter.about(name), subject: name };
      const card = await serveVfioUser((vm) => cardOf(source, vm), socket, {
        ...plan.vm,
        name,
        onVm: (vm) => tools.push(new VmTools(vm, { ...plan.tools, ...own })),
        report: (line) => own.reporter.line(line),
      });
      served.push(card);
      own.reporter.line(`${source.option} is served. ${qemuLine(socket)}`);
    }
    if (served.some(({ hasDescriptors }) => !hasDescriptors))
      reporter.line('without Linux and koffi no interrupt reaches a monitor, and memory is reached by messages only');
    // Each VM ends by its operator only: in the page, or here.
    await Promise.race([ended.promise, ...served.map(({ vm }) => vm.ended)]);
  } finally {
    await Promise.all(served.map((card) => card.close()));
    await Promise.all(tools.map((one) => one.ended));
    await Promise.all(plan.cards.map(async ({ source }) => source.released?.()));
    for (const signal of ENDING_SIGNALS) process.off(signal, end);
  }
  return ExitStatus.OK;
}

/** The options of QEMU for the card at `socket`, and for RAM that it shares with the card. */
export function qemuLine(socket: string): string {
  const device = { driver: 'vfio-user-pci', socket: { path: socket, type: 'unix' } };
  return `QEMU: -device '${JSON.stringify(device)}' ${SHARED_RAM}`;
}

/**
 * The names of the cards' VMs in messages, traces and pages: the files of their sockets, with a
 * number behind the second of one name.
 */
export function socketNames(sockets: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return sockets.map((socket) => {
    const name = basename(socket, extname(socket));
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}-${count}`;
  });
}

async function cardOf(source: CardSource, vm: UserVm): Promise<PciCard> {
  const card = await source.create(vm);
  if (isThreadPlacement(card))
    throw new UpcallError('OPTION_INVALID', `${source.option}: a card that is served has no thread of its own`);
  return card;
}
