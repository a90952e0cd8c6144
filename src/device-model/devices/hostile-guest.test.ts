/**
 * The platform devices against guests that do anything: no throw, no value wider than the access,
 * no heap of timers.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { ManualClock } from '../clock.js';
import { allOnes } from '../device.js';
import type { AccessSize, Device, InterruptLine, PowerControl } from '../device.js';
import { ACPI_PM_PORTS } from './acpi-pm-registers.js';
import { AcpiPm } from './acpi-pm.js';
import { AcpiSmiCommand } from './acpi-smi-command.js';
import { CmosRtc } from './cmos-rtc.js';
import { DebugExit } from './debug-exit.js';
import { I8042 } from './i8042.js';
import { PostPort } from './post-port.js';
import { ResetControl } from './reset-control.js';

interface Machine {
  readonly clock: ManualClock;
  readonly power: PowerControl;
  readonly interrupt: InterruptLine;
}

const LARGEST_TIMER_COUNT = 1;

/** Each device, or set of devices of one state, with the ports of its range. */
const DEVICES: Record<string, { readonly ports: number; readonly make: (machine: Machine) => readonly Device[] }> = {
  'cmos-rtc': {
    ports: 2,
    make: ({ clock, interrupt }) => [new CmosRtc({ clock, interrupt, memoryBytes: 1 << 26 })],
  },
  i8042: {
    ports: 1,
    make: ({ power, interrupt }) => {
      const controller = new I8042({ power, interrupt });
      return [controller.data, controller.command];
    },
  },
  'acpi-pm': {
    ports: ACPI_PM_PORTS,
    make: ({ clock, power, interrupt }) => {
      const pm = new AcpiPm({ clock, power, sci: interrupt, timerBits: 24, startsInAcpiMode: true });
      return [pm, new AcpiSmiCommand(pm)];
    },
  },
  'reset-control': { ports: 1, make: ({ power }) => [new ResetControl({ power })] },
  'debug-exit': { ports: 4, make: ({ power }) => [new DebugExit({ power })] },
  'post-port': { ports: 1, make: () => [new PostPort()] },
};

interface Step {
  readonly which: number;
  readonly kind: 'read' | 'write' | 'wait' | 'reset';
  readonly offset: number;
  readonly size: AccessSize;
  readonly value: number;
}

/** Writes twice as often as the rest. */
function steps(ports: number): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.record({
      which: fc.nat({ max: 1 }),
      kind: fc.constantFrom<Step['kind']>('read', 'write', 'write', 'wait', 'reset'),
      offset: fc.nat({ max: ports - 1 }),
      size: fc.constantFrom<AccessSize>(1, 2, 4),
      // Small values are the indexes and commands; the others are anything.
      value: fc.oneof(fc.nat({ max: 0xff }), fc.nat({ max: 0x7f_ffff }), fc.integer({ min: 0, max: 0xffff_ffff })),
    }),
    { maxLength: 200 },
  );
}

describe('under random accesses of a guest', () => {
  for (const [name, { ports, make }] of Object.entries(DEVICES)) {
    test(`${name} answers within the size of the access, and keeps few timers`, () => {
      fc.assert(
        fc.property(steps(ports), (sequence) => {
          const clock = new ManualClock();
          let level = false;
          const nothing = (): void => undefined;
          const devices = make({
            clock,
            power: { powerOff: nothing, reset: nothing },
            interrupt: { set: (high) => void (level = high) },
          });
          for (const { which, kind, offset, size, value } of sequence) {
            const device = devices[which % devices.length] as Device;
            if (kind === 'wait') clock.advance(value / 1000);
            else if (kind === 'reset') device.reset?.();
            else if (kind === 'write') assert.equal(device.write(offset, size, value % (allOnes(size) + 1)), undefined);
            else {
              const read = device.read(offset, size);
              assert.ok(typeof read === 'number' && Number.isInteger(read) && read >= 0 && read <= allOnes(size));
            }
            assert.ok(clock.pending <= LARGEST_TIMER_COUNT);
          }
          for (const device of devices) device.reset?.();
          assert.equal(level, false, 'a reset lowers the line');
          for (const device of devices) device.close?.();
          assert.equal(clock.pending, 0, 'close cancels what waits');
        }),
      );
    });
  }
});
