/**
 * Looking at a device's registers changes nothing: two machines get the same accesses, and only one
 * is looked at.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../clock.js';
import type { AccessSize, Device, InterruptLine, PowerControl } from '../device.js';
import { ACPI_PM_PORTS } from './acpi-pm-registers.js';
import { AcpiPm } from './acpi-pm.js';
import { ACPI_DISABLE, ACPI_ENABLE, AcpiSmiCommand } from './acpi-smi-command.js';
import { CmosIndex } from './cmos-rtc-registers.js';
import { CmosRtc } from './cmos-rtc.js';
import { DebugExit } from './debug-exit.js';
import { I8042 } from './i8042.js';
import { PciHostBridge } from './pci/pci-host-bridge.js';
import { Pit8254 } from './pit8254.js';
import { PostPort } from './post-port.js';
import { ResetControl } from './reset-control.js';
import { SystemControlPort } from './system-control-port.js';
import { Uart16550 } from './uart16550.js';

interface Parts {
  readonly clock: ManualClock;
  readonly power: PowerControl;
  readonly interrupt: InterruptLine;
}

interface Made {
  readonly devices: readonly Device[];
  /** What the world does to it. */
  readonly poke?: (value: number) => void;
}

interface Kind {
  readonly ports: number;
  /** Values that matter to it more than others. */
  readonly values: readonly number[];
  readonly make: (parts: Parts) => Made;
}

const KINDS: Readonly<Record<string, Kind>> = {
  uart16550: {
    ports: 8,
    values: [0x00, 0x01, 0x0b, 0x0f, 0x80, 0x83, 0x07, 0x1f, 0xc7],
    make: ({ clock, interrupt }) => {
      const uart = new Uart16550({ clock, interrupt });
      return {
        devices: [uart],
        poke: (value) => {
          if (value < 0x20) uart.receiveBreak();
          else if (value < 0x40) uart.setModemLines({ cts: (value & 1) !== 0, ri: (value & 2) !== 0 });
          else uart.receive(Uint8Array.of(value, value + 1, value + 2));
        },
      };
    },
  },
  pit8254: {
    ports: 4,
    values: [0x34, 0x36, 0x30, 0xb0, 0xb6, 0xc2, 0xe2, 0x00, 0x04, 0x31],
    make: ({ clock, interrupt }) => {
      const pit = new Pit8254({ clock, interrupt });
      return { devices: [pit, new SystemControlPort(pit)] };
    },
  },
  'cmos-rtc': {
    ports: 2,
    values: [0x0a, 0x0b, 0x0c, 0x0d, 0x26, 0x72, 0x82, 0x12, 0x42, 0x00, 0x05],
    make: ({ clock, interrupt }) => ({ devices: [new CmosRtc({ clock, interrupt, memoryBytes: 1 << 26 })] }),
  },
  i8042: {
    ports: 1,
    values: [0x20, 0x60, 0xaa, 0xae, 0xd0, 0xd1, 0xd4, 0xf2, 0xff, 0x65],
    make: ({ power, interrupt }) => {
      const controller = new I8042({ power, interrupt });
      return { devices: [controller.data, controller.command], poke: (value) => controller.pressKey([value]) };
    },
  },
  'acpi-pm': {
    ports: ACPI_PM_PORTS,
    values: [0x00, 0x01, 0x21, 0x2001, 0x3401, ACPI_ENABLE, ACPI_DISABLE],
    make: ({ clock, power, interrupt }) => {
      const pm = new AcpiPm({ clock, power, sci: interrupt, timerBits: 24, startsInAcpiMode: true });
      return { devices: [pm, new AcpiSmiCommand(pm)], poke: () => pm.pressPowerButton() };
    },
  },
  'post-port': { ports: 1, values: [0x55], make: () => ({ devices: [new PostPort()] }) },
  'reset-control': { ports: 1, values: [2, 6], make: ({ power }) => ({ devices: [new ResetControl({ power })] }) },
  // A PCI function is no Device; its configuration space is looked at in the same way.
  'pci-host-bridge': {
    ports: 256,
    values: [0x00, 0x06, 0x59, 0xffff],
    make: () => {
      const bridge = new PciHostBridge();
      const read = (register: number, size: AccessSize): number => bridge.readConfig(register, size);
      return {
        devices: [
          {
            name: bridge.name,
            registers: bridge.registers,
            read,
            write: (register, size, value) => bridge.writeConfig(register, size, value),
            peek: (register, size) => bridge.peekConfig(register, size),
          },
        ],
      };
    },
  },
  'debug-exit': { ports: 4, values: [0], make: ({ power }) => ({ devices: [new DebugExit({ power })] }) },
};

/** A machine with one kind of devices, and everything that could be seen of it. */
class Machine {
  readonly seen: unknown[] = [];
  readonly clock = new ManualClock();
  readonly made: Made;

  constructor(kind: Kind) {
    this.made = kind.make({
      clock: this.clock,
      power: {
        powerOff: (reason) => this.seen.push(['off', reason]),
        reset: (reason) => this.seen.push(['reset', reason]),
      },
      interrupt: { set: (high) => this.seen.push(['line', high, this.clock.now()]) },
    });
  }

  peek(): unknown[] {
    return this.made.devices.flatMap((device) =>
      (device.registers?.registers ?? []).map(({ offset, size, name }) => [name, device.peek?.(offset, size, name)]),
    );
  }
}

type Act = (machine: Machine) => void;

function acts(kind: Kind): fc.Arbitrary<Act> {
  const value = fc.oneof(fc.constantFrom(...kind.values), fc.nat(0xff), fc.nat(0xffff));
  const size = fc.constantFrom<AccessSize>(1, 1, 1, 2, 4);
  const at = fc.tuple(fc.nat(1), fc.nat(kind.ports - 1), size);
  const device = (machine: Machine, which: number): Device | undefined =>
    machine.made.devices[which % machine.made.devices.length];
  return fc.oneof(
    at.map(([which, offset, wide]): Act => (machine) => {
      machine.seen.push(['read', device(machine, which)?.read(offset, wide)]);
    }),
    fc.tuple(at, value).map(
      ([[which, offset, wide], written]): Act =>
        (machine) =>
          void device(machine, which)?.write(offset, wide, wide === 1 ? written & 0xff : written),
    ),
    fc.oneof(fc.double({ min: 0, max: 3, noNaN: true }), fc.constantFrom(0.001, 55, 500, 999.9, 60_000)).map(
      (ms): Act =>
        (machine) =>
          machine.clock.advance(ms),
    ),
    value.map(
      (poked): Act =>
        (machine) =>
          machine.made.poke?.(poked & 0xff),
    ),
  );
}

describe('peeking changes nothing', () => {
  for (const [name, kind] of Object.entries(KINDS))
    test(`${name} behaves as if it had not been peeked`, () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(acts(kind), fc.nat(2)), { maxLength: 120 }), (steps) => {
          const [watched, alone] = [new Machine(kind), new Machine(kind)];
          for (const [act, looks] of steps) {
            act(watched);
            for (let look = 0; look < looks; look++) watched.peek();
            act(alone);
          }
          assert.deepEqual(watched.seen, alone.seen);
          // One that was looked at again and again shows what one shows that was never.
          assert.deepEqual(watched.peek(), alone.peek());
        }),
        { seed: 11, numRuns: 400 },
      );
    });

  test('every readable register has a value, and write-only ones have none', () => {
    for (const [name, kind] of Object.entries(KINDS)) {
      const machine = new Machine(kind);
      const access = machine.made.devices.flatMap((device) => device.registers?.registers ?? []);
      assert.ok(access.length > 0, name);
      machine.peek().forEach((entry, i) => {
        const [register, value] = entry as [string, number | undefined];
        if (access[i]?.access === 'w') assert.equal(value, undefined, `${name} ${register}`);
        else assert.equal(typeof value, 'number', `${name} ${register}`);
      });
    }
  });
});

test('a peek returns what a read would, and the state behind it', () => {
  const clock = new ManualClock();
  const uart = new Uart16550({ clock });
  uart.receive(Buffer.from('A'));
  assert.deepEqual([uart.peek(0, 1, 'RBR'), uart.peek(5, 1), uart.peek(0, 1, 'DLL')], [0x41, 0x61, 12]);
  assert.equal(uart.read(0, 1), 0x41);
  const pit = new Pit8254({ clock });
  pit.write(3, 1, 0x34);
  pit.write(0, 1, 0x34);
  pit.write(0, 1, 0x12);
  clock.advance(1);
  const count = pit.peek(0) ?? 0;
  assert.equal(pit.read(0, 1) | (pit.read(0, 1) << 8), count);
  assert.equal(count, 0x1234 - 1192);
  const rtc = new CmosRtc({ clock, memoryBytes: 1 << 26 });
  rtc.write(0, 1, CmosIndex.SECONDS);
  clock.advance(5000);
  assert.deepEqual([rtc.peek(CmosIndex.SECONDS), rtc.read(1, 1)], [5, 5]);
  const bridge = new PciHostBridge();
  assert.equal(bridge.peekConfig(0, 2), 0x8086);
});
