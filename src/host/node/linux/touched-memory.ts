/**
 * touchedParts: which parts of a process's memory may hold anything but zeros. The rest can be
 * read, and reads as zeros, because nothing has touched it. Reading it would make the system
 * allocate each of its pages, which takes longer than to ask for all of them.
 *
 * Called by: acrn-programs/foreign-memory.ts, for memory that a program shares with a VM;
 * memory-files.ts, for memory of this process.
 * Callers must: be allowed to trace the process (ptrace(2), "Ptrace access mode checking"). What is
 * not known counts as touched, also where the system refuses to report it.
 *
 * Two kinds of memory are known: private memory of no file by the pages that are present or swapped
 * out, and memory files (memfds) that the process has open by their holes.
 *
 * Sources: proc_pid_maps(5), proc_pid_pagemap(5), lseek(2) "Seeking file data and holes".
 */

import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { closeDescriptor, copyDescriptor } from './descriptors.js';
import { requireLibc } from './libc.js';

const PAGE = 4096;
/** Longer ranges are not asked for: the answer has 8 bytes for each page. */
const MAX_BYTES = 2 ** 34;
/** Parts with less than this between them are one. */
const LEAST_GAP = 0x1_0000;

const ENTRY_BYTES = 8;
/** Entries of one read. */
const MAX_ENTRIES = 0x1_0000;
/** Of an entry's upper half: the page is present, or swapped out. */
const TOUCHED = 0xc000_0000;

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;

/** A part of a range. */
export interface TouchedPart {
  /** From the start of the range. */
  readonly offset: number;
  readonly length: number;
}

/** A line of proc_pid_maps(5), cut to the range. Offsets are from the range's start. */
interface Mapping {
  readonly from: number;
  readonly to: number;
  /** As `rw-p`. */
  readonly access: string;
  /** The place of `from` in the file. */
  readonly fileOffset: number;
  readonly device: string;
  readonly inode: string;
  readonly name: string;
}

/** In ascending order. `address`: that of a page. */
export function touchedParts(pid: number, address: bigint, length: number): readonly TouchedPart[] {
  if (length > MAX_BYTES) return [{ offset: 0, length }];
  const parts: { offset: number; length: number }[] = [];
  const add = (from: number, to: number): void => {
    const last = parts.at(-1);
    if (last !== undefined && from - last.offset - last.length < LEAST_GAP) last.length = to - last.offset;
    else parts.push({ offset: from, length: to - from });
  };
  let at = 0;
  for (const mapping of mappingsOf(pid, address, length)) {
    // What is between two mappings cannot be read.
    if (mapping.from > at) add(at, mapping.from);
    if (isPrivateMemory(mapping)) addPages(pid, address, mapping, add);
    else if (!isMemoryFile(mapping) || !addData(pid, mapping, add)) add(mapping.from, mapping.to);
    at = mapping.to;
  }
  if (at < length) add(at, length);
  return parts;
}

/** Empty if the system does not report them. */
function mappingsOf(pid: number, address: bigint, length: number): readonly Mapping[] {
  const lines = textOf(`/proc/${pid}/maps`).matchAll(/^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+) *(.*)$/gm);
  const mappings: Mapping[] = [];
  for (const [, first = '', end = '', access = '', place = '', device = '', inode = '', name = ''] of lines) {
    const start = BigInt(`0x${first}`) - address;
    const from = Math.max(0, Number(start));
    const to = Math.min(length, Number(BigInt(`0x${end}`) - address));
    const fileOffset = Number.parseInt(place, 16) + from - Number(start);
    if (from < to) mappings.push({ from, to, access, fileOffset, device, inode, name });
  }
  return mappings;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isPrivateMemory({ access, inode, name }: Mapping): boolean {
  return /^r..p$/.test(access) && inode === '0' && /^(\[heap\]|\[anon:.*\])?$/.test(name);
}

function isMemoryFile({ access, name }: Mapping): boolean {
  return /^r..s$/.test(access) && name.startsWith('/memfd:');
}

function addPages(pid: number, address: bigint, { from, to }: Mapping, add: (from: number, to: number) => void): void {
  const entries = new Uint32Array(2 * Math.min(MAX_ENTRIES, (to - from) / PAGE));
  const first = Number(address / BigInt(PAGE)) + from / PAGE;
  const pages = (to - from) / PAGE;
  let known = 0;
  try {
    const pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
    try {
      while (known < pages) {
        const wanted = Math.min(MAX_ENTRIES, pages - known) * ENTRY_BYTES;
        const count = Math.floor(readSync(pagemap, entries, 0, wanted, (first + known) * ENTRY_BYTES) / ENTRY_BYTES);
        if (count === 0) break;
        for (let i = 0; i < count; i++)
          if (((entries[2 * i + 1] as number) & TOUCHED) !== 0) {
            const page = from + (known + i) * PAGE;
            add(page, page + PAGE);
          }
        known += count;
      }
    } finally {
      closeSync(pagemap);
    }
  } catch {
    // The rest is not known.
  }
  if (known < pages) add(from + known * PAGE, to);
}

/** Returns false if the file's holes are not known. Nothing was added then. */
function addData(pid: number, mapping: Mapping, add: (from: number, to: number) => void): boolean {
  const fd = openFileOf(pid, mapping);
  if (fd === undefined) return false;
  try {
    const parts = dataOf(fd, mapping);
    for (const [from, to] of parts ?? []) add(from, to);
    return parts !== undefined;
  } finally {
    closeSync(fd);
  }
}

/** The parts of a mapping that are no holes of its file. Undefined if they are not known. */
function dataOf(fd: number, { from, to, fileOffset }: Mapping): readonly (readonly [number, number])[] | undefined {
  const libc = requireLibc();
  const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const parts: (readonly [number, number])[] = [];
  // What is behind the file's end cannot be read.
  const end = Math.min(to, from + Math.max(0, fstatSync(fd).size - fileOffset));
  for (let at = from; at < end;) {
    const data = Number(lseek(fd, fileOffset + at - from, SEEK_DATA));
    if (data < 0 && libc.errno() !== ENXIO) return undefined;
    const start = data < 0 ? end : from + data - fileOffset;
    if (start >= end) break;
    const hole = Number(lseek(fd, data, SEEK_HOLE));
    if (hole <= data) return undefined;
    at = Math.min(end, from + hole - fileOffset);
    parts.push([start, at]);
  }
  if (end < to) parts.push([end, to]);
  return parts;
}

/**
 * A new open file of this process for the file of a mapping, found among the process's descriptors.
 * Undefined if it has none.
 */
function openFileOf(pid: number, { device, inode, name }: Mapping): number | undefined {
  let found: number | undefined;
  for (const fd of descriptorsOf(pid, name)) {
    const copy = copyDescriptor(pid, fd);
    if (copy < 0) continue;
    try {
      const { dev, ino } = fstatSync(copy);
      // The copy shares its position with the process. A file that is opened anew has its own.
      if (String(ino) === inode && sameDevice(dev, device)) found = openSync(`/proc/self/fd/${copy}`, 'r');
    } catch {
      // The system does not let it be opened: another descriptor of it may not either.
    }
    closeDescriptor(copy);
    if (found !== undefined) return found;
  }
  return undefined;
}

function descriptorsOf(pid: number, name: string): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
      .filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === name)
      .map(Number);
  } catch {
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** `device`: as `00:01`, major and minor number in hexadecimal. See makedev(3). */
function sameDevice(dev: number, device: string): boolean {
  const [major, minor] = device.split(':').map((part) => Number.parseInt(part, 16));
  return ((dev >>> 8) & 0xfff) === major && ((dev & 0xff) | ((dev >>> 12) & 0xf_ff00)) === minor;
}
