/**
 * The ioctls of a conformance script: `ioctl NAME FIELD=VALUE …`, with the names of `linux/acrn.h`
 * in lower case and with hyphens. The structure's missing fields are 0. One number in place of the
 * fields is the argument itself.
 *
 * Called by: ControlProcess (control-process.ts).
 */

import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import {
  IOEVENTFD,
  IOREQ_NOTIFY,
  IRQFD,
  MMIODEV,
  MSI_ENTRY,
  PCIDEV,
  PTDEV_IRQ,
  VCPU_REGS,
  VDEV,
  VM_CREATION,
  VM_MEMMAP,
  type StructLayout,
} from '../acrn-hsm/struct-layout.js';
import { StructView } from '../acrn-hsm/struct-view.js';
import type { ScriptWords } from './script-words.js';

const MAX_CODE = 0xffff_ffff;

/** PM_GET_CPU_STATE's argument has no structure in the header. */
const CPU_STATE_COMMAND = {
  name: 'cpu-state-command',
  bytes: 8,
  fields: { command: { kind: 'u64', offset: 0, count: 1 } },
} as const satisfies StructLayout;

const CODES: ReadonlyMap<string, number> = new Map(
  Object.entries({ ...Ioctl, ...ExtensionIoctl }).map(([name, code]) => [
    name.toLowerCase().replaceAll('_', '-'),
    code,
  ]),
);

/** The structure of each ioctl that takes one. */
const LAYOUTS: ReadonlyMap<number, StructLayout> = new Map<number, StructLayout>([
  [Ioctl.CREATE_VM, VM_CREATION],
  [Ioctl.SET_VCPU_REGS, VCPU_REGS],
  [Ioctl.INJECT_MSI, MSI_ENTRY],
  [Ioctl.NOTIFY_REQUEST_FINISH, IOREQ_NOTIFY],
  [Ioctl.SET_MEMSEG, VM_MEMMAP],
  [Ioctl.UNSET_MEMSEG, VM_MEMMAP],
  [Ioctl.SET_PTDEV_INTR, PTDEV_IRQ],
  [Ioctl.RESET_PTDEV_INTR, PTDEV_IRQ],
  [Ioctl.ASSIGN_PCIDEV, PCIDEV],
  [Ioctl.DEASSIGN_PCIDEV, PCIDEV],
  [Ioctl.ASSIGN_MMIODEV, MMIODEV],
  [Ioctl.DEASSIGN_MMIODEV, MMIODEV],
  [Ioctl.CREATE_VDEV, VDEV],
  [Ioctl.DESTROY_VDEV, VDEV],
  [Ioctl.PM_GET_CPU_STATE, CPU_STATE_COMMAND],
  [Ioctl.IOEVENTFD, IOEVENTFD],
  [Ioctl.IRQFD, IRQFD],
]);

export interface IoctlCall {
  readonly code: number;
  /** A structure for the process's memory, or the value of the argument's register. */
  readonly argument: Uint8Array | bigint;
}

/** The words after `ioctl`. CREATE_VM's `ioreq_buf` is `page` by default. */
export function ioctlCall(words: ScriptWords, page: bigint): IoctlCall {
  const code = codeOf(words);
  const layout = LAYOUTS.get(code);
  const isNumber = words.next?.includes('=') === false;
  if (layout === undefined || isNumber) {
    const argument = words.hasMore ? words.u64('the argument') : 0n;
    words.end();
    return { code, argument };
  }
  const view = new StructView(layout);
  if (code === Ioctl.CREATE_VM) view.set('ioreq_buf', page);
  while (words.hasMore) setField(view, words);
  return { code, argument: view.bytes };
}

/** Whether the driver copies the structure back: the code's bit for "the kernel writes". */
export function isWrittenBack(code: number): boolean {
  return code >>> 31 === 1;
}

function codeOf(words: ScriptWords): number {
  const known = CODES.get(words.next ?? '');
  if (known === undefined && !/^(0x|\d)/.test(words.next ?? ''))
    throw words.error(`there is no ioctl ${words.word('the name of an ioctl, or its code')}`);
  if (known === undefined) return words.integer('a code', 0, MAX_CODE);
  words.word('a name');
  return known;
}

function setField(view: StructView<StructLayout>, words: ScriptWords): void {
  const word = words.word('a field');
  const [, path = '', text = ''] = /^([\w.[\]]+)=(-?\d+|0x[0-9a-f]+)$/i.exec(word) ?? [];
  if (text === '') throw words.error(`"${word}" is not FIELD=VALUE`);
  const { name, fields } = view.layout;
  // Names may have brackets themselves: res[1].size.
  const [, base = path, digits = '0'] = path in fields ? [] : (/^(.+)\[(\d+)\]$/.exec(path) ?? []);
  const index = Number(digits);
  if (!(index < (fields[base]?.count ?? 0))) throw words.error(`struct ${name} has no field ${path}`);
  const value = BigInt(text);
  if (view.set(base, value, index).big(base, index) !== value) throw words.error(`${text} does not fit into ${path}`);
}
