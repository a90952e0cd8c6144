/**
 * `--disk FILE[,WORD…]`: a disk for the guest, as a virtio block device on the PCI bus.
 *
 * WORD is `ro`, `thread`, `overlay=FILE`, `format=raw`, `format=qcow2` or `queues=N`. The name of a
 * FILE ends at the first comma.
 *
 * Called by: `upcall run` and `upcall serve`.
 */

import { DISK_FORMATS, type DiskFormat } from '../device-model/disk/open-disk.js';
import { MAX_QUEUES } from '../device-model/virtio/block/block-limits.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { moduleFileProblem } from './module-file.js';

export interface DiskOption {
  /** As it was given. */
  readonly text: string;
  readonly file: string;
  readonly isReadOnly: boolean;
  /** Number of request queues, from 1 to MAX_QUEUES. */
  readonly queues: number;
  readonly inOwnThread: boolean;
  /** The qcow2 file that takes the writes. Default: `file` itself. */
  readonly overlay?: string;
  /** Default: recognised by the file's content. */
  readonly format?: DiskFormat;
}

const FORM =
  'Write FILE, then any of ,ro ,thread ,overlay=FILE ,format=raw ,format=qcow2 and ,queues=N, for example disk.img,overlay=new.qcow2';

/** Throws OPTION_INVALID, or DISK_UNAVAILABLE if there is no such file. */
export function parseDisk(text: string): DiskOption {
  const [file = '', ...words] = text.split(',');
  if (file === '') throw new UpcallError('OPTION_INVALID', `--disk ${text}: the file is missing`, { remedy: FORM });
  let isReadOnly = false;
  let inOwnThread = false;
  let queues = 1;
  let overlay: string | undefined;
  let format: DiskFormat | undefined;
  const seen = new Set<string>();
  for (const word of words) {
    const [name, value] = splitWord(word);
    if (seen.has(name))
      throw new UpcallError('OPTION_INVALID', `--disk ${text}: ${name} is given twice`, {
        remedy: `Leave out one of the two: ${word}`,
      });
    seen.add(name);
    if (word === 'ro') isReadOnly = true;
    else if (word === 'thread') inOwnThread = true;
    else if (name === 'queues') queues = parseQueues(text, value ?? '');
    else if (name === 'overlay') overlay = parseOverlay(text, value ?? '');
    else if (name === 'format') format = parseFormat(text, value ?? '');
    else throw new UpcallError('OPTION_INVALID', `--disk ${text}: unknown word "${word}"`, { remedy: FORM });
  }
  // Early: Debian may be fetched before disks are opened.
  if (moduleFileProblem(file) === 'no such file')
    throw new UpcallError('DISK_UNAVAILABLE', `--disk ${file}: no such file`, {
      remedy: `Check the path, or create it, for example: truncate -s 1G ${file}`,
    });
  return {
    text,
    file,
    isReadOnly,
    queues,
    inOwnThread,
    ...(overlay === undefined ? {} : { overlay }),
    ...(format === undefined ? {} : { format }),
  };
}

export function addDisk(text: string, disks: readonly DiskOption[]): DiskOption[] {
  return [...disks, parseDisk(text)];
}

/** The value is undefined without an equals sign. */
function splitWord(word: string): readonly [name: string, value?: string] {
  const equals = word.indexOf('=');
  return equals === -1 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}

function parseQueues(text: string, value: string): number {
  const queues = /^\d{1,3}$/.test(value) ? Number(value) : NaN;
  if (queues >= 1 && queues <= MAX_QUEUES) return queues;
  throw new UpcallError('OPTION_INVALID', `--disk ${text}: expected 1 to ${MAX_QUEUES} queues`, {
    remedy: 'Give one for each vCPU, for example queues=4',
  });
}

function parseOverlay(text: string, value: string): string {
  if (value !== '') return value;
  throw new UpcallError('OPTION_INVALID', `--disk ${text}: the overlay's file is missing`, {
    remedy: 'Name a new or an earlier one, for example overlay=changes.qcow2',
  });
}

function parseFormat(text: string, value: string): DiskFormat {
  const format = DISK_FORMATS.find((one) => one === value);
  if (format !== undefined) return format;
  throw new UpcallError('OPTION_INVALID', `--disk ${text}: unknown format "${value}"`, {
    remedy: `Give ${DISK_FORMATS.join(' or ')}, or convert the disk: qemu-img convert -O raw`,
  });
}
