import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { UpcallError } from '../io-request/upcall-error.js';
import { Bench } from './bench.js';
import { COMPARED_DEVICES } from './compared-devices.js';
import type { ComparedDevice } from './compared-device.js';
import { Comparison, type ComparisonResult } from './comparison.js';
import { encodeSteps, MAX_STEPS, RECORDS_ADDRESS, STEPS_ADDRESS } from './qemu/player.js';
import { QemuDevice } from './qemu/qemu-device.js';
import { QemuMachine, qemuVersion } from './qemu/qemu-machine.js';
import { HOST_BRIDGE } from './devices/host-bridge.js';
import { notPlayedText, observed, resultText } from './result-text.js';
import { programText, read, type Step } from './step.js';

const QEMU = 'qemu-system-x86_64';

const missing = await qemuVersion(QEMU).then(
  () => false as const,
  (error: unknown) => (error instanceof UpcallError ? error.describe() : String(error)),
);

/** Reads of `offset` have `bit` inverted. */
function withWrongBit(device: ComparedDevice, offset: number, bit: number): ComparedDevice {
  return {
    ...device,
    explained: [],
    create: (clock, interrupt) => {
      const right = device.create(clock, interrupt);
      return {
        read: (at, size) => right.read(at, size) ^ (at === offset ? bit : 0),
        write: (at, size, value) => right.write(at, size, value),
      };
    },
  };
}

/** One readable offset of each device, and a bit of it. */
const WRONG: Readonly<Record<string, readonly [offset: number, bit: number]>> = {
  uart: [5, 0x20],
  rtc: [1, 0x01],
  pit: [0x21, 0x20],
  i8042: [4, 0x04],
  'host-bridge': [4, 0x01],
};

describe('a comparison of two benches', () => {
  for (const device of COMPARED_DEVICES) {
    test(`${device.name}: the same device on both sides shows no difference`, async () => {
      const result = await new Comparison(device, new Bench(device.create)).run({ seed: 1, programs: 20, length: 30 });
      assert.equal(result.finding, undefined);
      assert.equal(result.explained.size, 0);
      assert.equal(result.programs, 20);
      assert.ok(result.observations > 500, `${result.observations} observations`);
    });

    test(`${device.name}: a wrong bit is found, and shrunk to the action that reads it`, async () => {
      const [offset, bit] = WRONG[device.name] as readonly [number, number];
      const comparison = new Comparison(withWrongBit(device, offset, bit), new Bench(device.create));
      const { finding } = await comparison.run({ seed: 1, programs: 20, length: 30 });
      assert.ok(finding !== undefined);
      const { difference } = finding;
      const shrunk = difference.steps.slice(device.prologue.length);
      assert.ok(shrunk.length <= 4, programText(shrunk));
      assert.equal(
        (difference.ours.value ?? 0) ^ (difference.reference.value ?? 0),
        bit,
        observed(difference, 'right'),
      );
      assert.deepEqual(
        (await comparison.run({ seed: finding.seed, programs: 1, length: 30 })).finding?.difference.steps,
        difference.steps,
        'the seed alone shows it again',
      );
    });
  }
});

test('without times the steps of a bench are a microsecond apart, from the first one on', async () => {
  const bench = new Bench(HOST_BRIDGE.create);
  const times = async (...given: readonly number[][]) =>
    (await bench.play([read(0), read(0), read(0)], ...given)).map(({ timeNs }) => timeNs);
  assert.deepEqual(await times(), [0, 1000, 2000]);
  assert.deepEqual(await times([0, 7]), [0, 7, 1007]);
  assert.deepEqual(await times([5, 3]), [5, 5, 1005]);
});

test('what upcall does not model explains zeros of ours only', async () => {
  /** The host bridge whose register 0x50 reads as `value`. */
  const reading = (value: number): ComparedDevice => ({
    ...HOST_BRIDGE,
    create: (clock, interrupt) => {
      const right = HOST_BRIDGE.create(clock, interrupt);
      const isAt = (at: number): boolean => at === 4 && (right.read(0, 4) & 0xfc) === 0x50;
      return {
        read: (at, size) => (isAt(at) ? value : right.read(at, size)),
        write: (at, size, written) => right.write(at, size, written),
      };
    },
  });
  const compare = (ours: number, other: number): Promise<ComparisonResult> =>
    new Comparison(reading(ours), new Bench(reading(other).create)).run({ seed: 1, programs: 40, length: 30 });
  const [zeros, fault] = [await compare(0, 0x11), await compare(0x11, 0)];
  assert.equal(zeros.finding, undefined);
  assert.deepEqual(
    [...zeros.explained.keys()].map(({ right }) => right),
    ['not-modelled'],
  );
  assert.match(resultText(zeros, 'qemu', 40).join('\n'), /upcall does not model them: upcall has no memory controller/);
  assert.ok(fault.finding !== undefined);
});

test('a comparison that was interrupted says how far it came, and which devices it did not reach', async () => {
  const [device] = COMPARED_DEVICES as readonly [ComparedDevice];
  const bench = new Bench(device.create);
  const run = (limit: number): Promise<ComparisonResult> =>
    new Comparison(device, bench).run({ seed: 1, programs: 9, length: 5, goOn: (done) => done < limit });
  const [first, ...rest] = resultText(await run(3), 'qemu', 9);
  assert.match(first ?? '', /^uart: 3 of 9 programs, interrupted, \d+ observations compared$/);
  assert.deepEqual(rest, ['  no other difference until then']);
  assert.deepEqual(resultText(await run(0), 'qemu', 9), ['uart: not played']);
  assert.equal(notPlayedText(device), 'uart: not played');
  assert.match(resultText(await run(9), 'qemu', 9)[0] ?? '', /^uart: 9 programs, \d+ observations/);
});

describe('a QEMU', { skip: missing }, () => {
  test('shows no difference that is not explained', { timeout: 60_000 }, async (t) => {
    const machine = await QemuMachine.start(QEMU);
    try {
      for (const device of COMPARED_DEVICES) {
        const comparison = new Comparison(device, new QemuDevice(machine, device.port, device.line?.number));
        const { finding, observations } = await comparison.run({ seed: 1, programs: 15, length: 30 });
        t.diagnostic(`${device.name}: ${observations} observations`);
        if (finding !== undefined)
          assert.fail(
            `${device.name}: ${programText(finding.difference.steps)} ${observed(finding.difference, 'qemu')}`,
          );
      }
    } finally {
      await machine.close();
    }
  });

  test('plays the same program the same each time, to the nanosecond', { timeout: 60_000 }, async () => {
    const machine = await QemuMachine.start(QEMU);
    try {
      for (const device of COMPARED_DEVICES) {
        const qemu = new QemuDevice(machine, device.port, device.line?.number);
        const program = new Comparison(device, qemu).randomProgram(7, 30);
        const play = async (): Promise<unknown> => {
          const steps = [...device.prologue, ...program.flat()];
          return (await qemu.play(steps)).map(({ timeNs, value }) => [timeNs, value]).slice(device.prologue.length);
        };
        // The refresh bit of port 0x61 depends on how often it was read, and the host bridge keeps
        // what was written to registers that have no driver.
        if (device.name !== 'pit' && device.name !== 'host-bridge')
          assert.deepEqual(await play(), await play(), device.name);
      }
    } finally {
      await machine.close();
    }
  });
});

test('a list of steps that the guest program has no room for is refused', () => {
  const steps = (length: number): readonly Step[] => new Array<Step>(length).fill(read(0));
  assert.equal(STEPS_ADDRESS + encodeSteps(steps(MAX_STEPS), 0x40).length, RECORDS_ADDRESS);
  assert.throws(() => encodeSteps(steps(MAX_STEPS + 1), 0x40), /a list of 3584 steps: at most 3583 fit/);
});

test('a QEMU that is missing or fails is an error with a remedy', async () => {
  await assert.rejects(qemuVersion('/nowhere/qemu'), {
    code: 'TOOL_MISSING',
    remedy: /apt-get install qemu-system-x86/,
  });
  await assert.rejects(qemuVersion('false'), { code: 'TOOL_FAILED' });
  await assert.rejects(QemuMachine.start('false'), { code: 'TOOL_FAILED', message: /ended with status 1/ });
});
