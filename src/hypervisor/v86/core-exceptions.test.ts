/**
 * Exceptions that the core lacks and that upcall adds: each guest of a table on the core and, where
 * QEMU is installed, on QEMU's emulator.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HALTED_FOREVER, TripleFault } from '../vcpu-loop.js';
import { DELIVERY_CASES } from './fixtures/delivery-cases.js';
import { EXCEPTION_CASES } from './fixtures/exception-cases.js';
import { TRIPLE_FAULT, type ExceptionCase } from './fixtures/exception-case.js';
import { PAGING_CASES } from './fixtures/paging-cases.js';
import { TRANSFER_CASES } from './fixtures/transfer-cases.js';
import {
  BASE,
  CODE,
  END,
  GDT,
  image,
  MEMORY_BYTES,
  NO_ERROR_CODE,
  OTHER_TASK,
  REPORT_PORT,
  Selector,
  STACK,
  STOP_PORT,
  TASK,
} from './fixtures/exception-guest.js';
import { TestMachine } from './fixtures/test-machine.js';

const QEMU = 'qemu-system-i386';
const QEMU_VERSION = 7;
const STOPPED_BY_GUEST = 1;
const ENTRY_OFFSET = 28;
const ALL_CASES = [...EXCEPTION_CASES, ...DELIVERY_CASES, ...TRANSFER_CASES, ...PAGING_CASES];
/** A start of QEMU takes a second. */
const every = Number(process.env['QEMU_EVERY'] ?? 8);
const folder = mkdtempSync(join(tmpdir(), 'upcall-'));
after(() => rmSync(folder, { recursive: true }));

/** `vector error-code EIP-offset`, or TRIPLE_FAULT. */
function reported(bytes: Uint8Array): string {
  if (bytes.length === 0) return TRIPLE_FAULT;
  assert.equal(bytes.length, 16);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [vector, errorCode, eip] = [0, 4, 8].map((at) => view.getUint32(at, true)) as [number, number, number];
  return describeReport(vector, errorCode, eip - CODE);
}

function describeReport(vector: number, errorCode: number, at: number): string {
  if (vector === END) return 'no exception';
  return `${vector} ${errorCode === NO_ERROR_CODE ? '-' : errorCode.toString(16)} at ${at}`;
}

function expected({ report }: ExceptionCase): string {
  return report === TRIPLE_FAULT ? TRIPLE_FAULT : describeReport(report[0], report[1] ?? NO_ERROR_CODE, report[2]);
}

/** Returns the machine, too, as the guest left it. */
async function onCore(guest: ExceptionCase): Promise<{ report: string; machine: TestMachine }> {
  const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
  const bytes = image(guest);
  machine.memory.write(BASE, bytes);
  const ip = new DataView(bytes.buffer).getUint32(ENTRY_OFFSET, true);
  machine.core.start({ mode: 'flat-32', ip, cs: { selector: 8 }, ds: { selector: 16 } });
  try {
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
  } catch (error) {
    if (!(error instanceof TripleFault)) throw error;
    assert.match(error.message, /^triple fault: the guest shut its CPU down at EIP 0x/);
    assert.deepEqual(machine.accesses, []);
    return { report: TRIPLE_FAULT, machine };
  }
  assert.equal(machine.accesses.pop(), `out ${STOP_PORT.toString(16)}/1 0`);
  const written = machine.accesses.map((access) => access.split(`out ${REPORT_PORT.toString(16)}/1 `)[1] ?? 'x');
  return { report: reported(Uint8Array.from(written, (byte) => parseInt(byte, 16))), machine };
}

function onQemu(guest: ExceptionCase): string {
  const kernel = join(folder, 'guest');
  const output = join(folder, 'output');
  writeFileSync(kernel, image(guest));
  writeFileSync(output, '');
  // prettier-ignore
  const { status, signal } = spawnSync(QEMU, [
    '-nodefaults', '-display', 'none', '-no-reboot', '-m', '16', '-cpu', 'pentium3', '-kernel', kernel,
    '-debugcon', `file:${output}`, '-device', 'isa-debug-exit,iobase=0xf4,iosize=1',
  ], { timeout: 60_000 });
  assert.equal(signal, null);
  const report = reported(readFileSync(output));
  assert.equal(status, report === TRIPLE_FAULT ? 0 : STOPPED_BY_GUEST);
  return report;
}

describe("a guest's mistake", () => {
  for (const guest of ALL_CASES)
    test(`${guest.name}: ${guest.what}`, async () => {
      assert.equal((await onCore(guest)).report, expected(guest));
    });
});

describe('a transfer that is refused changes nothing', () => {
  const accessOf = ({ memory }: TestMachine, selector: number): number => memory.readU8(GDT + selector + 5);

  for (const guest of TRANSFER_CASES.filter(({ name }) => /^far JMP to a task|^INT|^IRET|^an exception/.test(name)))
    test(`${guest.name}: both tasks stay as they were`, async () => {
      const { machine } = await onCore(guest);
      assert.equal(accessOf(machine, Selector.OTHER_TASK), 0x89);
      assert.equal(accessOf(machine, Selector.TASK), 0x8b);
      // Of the old task, nothing was saved; of the new one, the link stays 0.
      assert.equal(machine.memory.readU32(TASK + 0x20), 0);
      assert.equal(machine.memory.readU32(OTHER_TASK), 0);
    });

  for (const guest of TRANSFER_CASES.filter(({ name }) => /^far RET to an outer level with/.test(name)))
    test(`${guest.name}: CS, EIP and the stack stay as they were`, async () => {
      const { machine } = await onCore(guest);
      // EFLAGS, CS, EIP and the error code below the frame of the return.
      const words = [8, 12, 16].map((below) => machine.memory.readU32(STACK - 16 - below));
      const [vector, errorCode, at] = guest.report as [number, number, number];
      assert.deepEqual(words, [Selector.CODE, CODE + at, errorCode], `of exception ${vector}`);
    });
});

/** Why the guests cannot run on QEMU, or false. */
function whyNoQemu(): string | false {
  const { stdout, error } = spawnSync(QEMU, ['--version'], { encoding: 'utf8' });
  if (error !== undefined) return `${QEMU} is not installed`;
  const version = Number(/version (\d+)/.exec(stdout)?.[1]);
  return version >= QEMU_VERSION ? false : `${QEMU} ${version} is older than ${QEMU_VERSION}`;
}

test('QEMU reports the same exceptions', { skip: whyNoQemu() }, () => {
  console.log(`one of ${every} guests on QEMU; QEMU_EVERY=1 compares all`);
  const differences = ALL_CASES.filter(({ qemuDiffers }) => qemuDiffers === undefined)
    .filter((_, index) => index % every === 0)
    .map((guest) => ({ guest: guest.name, qemu: onQemu(guest), expected: expected(guest) }))
    .filter((one) => one.qemu !== one.expected);
  assert.deepEqual(differences, []);
});
