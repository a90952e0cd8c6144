/**
 * Each device of a PC: one that is restored goes on as the one that was saved. Both get the same
 * random accesses afterwards, at the same times, and must answer and drive their line the same.
 */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { ManualClock } from '../clock.js';
import type { AccessSize, Device, InterruptLine } from '../device.js';
import { AcpiPm } from './acpi-pm.js';
import { AcpiSmiCommand } from './acpi-smi-command.js';
import { CmosRtc } from './cmos-rtc.js';
import { DebugExit } from './debug-exit.js';
import { I8042 } from './i8042.js';
import { PciBus } from './pci/pci-bus.js';
import { PciEcam } from './pci/pci-ecam.js';
import { PciHostBridge } from './pci/pci-host-bridge.js';
import { Pit8254 } from './pit8254.js';
import { PostPort } from './post-port.js';
import { ResetControl } from './reset-control.js';
import { SystemControlPort } from './system-control-port.js';
import { Uart16550 } from './uart16550.js';

/** What the operator does: types, presses keys or the power button. */
type Act = (value: number) => void;

interface Built {
  readonly devices: readonly { readonly device: Device; readonly ports: number }[];
  readonly act?: Act;
}

interface Machine extends Built {
  readonly clock: ManualClock;
  readonly events: string[];
}

const power = { powerOff: () => undefined, reset: () => undefined };

const BUILDERS: Readonly<Record<string, (clock: ManualClock, interrupt: InterruptLine) => Built>> = {
  uart16550: (clock, interrupt) => {
    const uart = new Uart16550({ clock, interrupt });
    return {
      devices: [{ device: uart, ports: 8 }],
      act: (value) => {
        if (value < 200) uart.receive(new Uint8Array(value % 40).fill(value));
        else if (value < 220) uart.receiveBreak();
        else uart.setModemLines({ cts: (value & 1) !== 0, ri: (value & 2) !== 0 });
      },
    };
  },
  pit8254: (clock, interrupt) => {
    const pit = new Pit8254({ clock, interrupt });
    return {
      devices: [
        { device: pit, ports: 4 },
        { device: new SystemControlPort(pit), ports: 1 },
      ],
    };
  },
  'cmos-rtc': (clock, interrupt) => ({
    devices: [{ device: new CmosRtc({ clock, interrupt, memoryBytes: 64 << 20 }), ports: 2 }],
  }),
  i8042: (_clock, interrupt) => {
    const keyboard = new I8042({ power, interrupt });
    return {
      devices: [
        { device: keyboard.data, ports: 1 },
        { device: keyboard.command, ports: 1 },
      ],
      act: (value) => keyboard.pressKey(value < 128 ? [value] : [0xf0, value & 0x7f]),
    };
  },
  'acpi-pm': (clock, interrupt) => {
    const pm = new AcpiPm({ clock, power, sci: interrupt, timerBits: 24 });
    return {
      devices: [
        { device: pm, ports: 12 },
        { device: new AcpiSmiCommand(pm), ports: 1 },
      ],
      act: () => pm.pressPowerButton(),
    };
  },
  small: () => ({
    devices: [
      { device: new DebugExit({ power }), ports: 4 },
      { device: new PostPort(), ports: 1 },
      { device: new ResetControl({ power }), ports: 1 },
      { device: configurationPorts(), ports: 256 },
    ],
  }),
};

/** The host bridge's configuration space as memory. */
function configurationPorts(): Device {
  const bus = new PciBus();
  const bridge = new PciHostBridge();
  bus.add({ bus: 0, device: 0, function: 0 }, bridge);
  const ecam = new PciEcam(bus);
  return {
    name: 'configuration',
    read: (offset, size) => ecam.read(offset, size),
    write: (offset, size, value) => ecam.write(offset, size, value),
    save: () => [ecam.save(), bridge.save()],
    restore: (state) => bridge.restore((state as unknown[])[1]),
  };
}

const START_MS = 12_345.678;

function build(name: string, startMs = START_MS): Machine {
  const clock = new ManualClock(Date.UTC(2026, 10, 30, 21, 59, 58), startMs);
  const events: string[] = [];
  let isHigh = false;
  const line: InterruptLine = {
    set: (high) => {
      if (high !== isHigh) events.push(`${high ? 'high' : 'low'} at ${clock.now()}`);
      isHigh = high;
    },
  };
  const builder = BUILDERS[name];
  assert.ok(builder !== undefined);
  return { ...builder(clock, line), clock, events };
}

interface Step {
  readonly kind: 'read' | 'write' | 'time' | 'act';
  readonly device: number;
  readonly offset: number;
  readonly size: AccessSize;
  readonly value: number;
}

const steps = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom('read', 'write', 'write', 'time', 'act'),
    device: fc.nat(3),
    offset: fc.nat(255),
    size: fc.constantFrom(1, 1, 1, 2, 4),
    // Many bits of one byte, for which registers have meanings.
    value: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 0xffff_ffff })),
  }),
  { maxLength: 60 },
);

/** Returns what the reads gave. */
function play(machine: Machine, program: readonly Step[]): readonly unknown[] {
  return program.map(({ kind, device, offset, size, value }) => {
    const one = machine.devices[device % machine.devices.length];
    assert.ok(one !== undefined);
    const at = offset % one.ports;
    if (kind === 'read') return one.device.read(at, size);
    if (kind === 'write') void one.device.write(at, size, size === 1 ? value & 0xff : value);
    else if (kind === 'act') machine.act?.(value & 0xff);
    else machine.clock.advance((value & 0xffff) / 300);
    return undefined;
  });
}

function copy(from: Machine, name: string): Machine {
  const copied = build(name, from.clock.now());
  from.devices.forEach(({ device }, index) => {
    const state: unknown = JSON.parse(JSON.stringify(device.save?.()));
    copied.devices[index]?.device.restore?.(state);
  });
  return copied;
}

for (const name of Object.keys(BUILDERS))
  test(`${name}: a restored device goes on as the saved one`, () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const original = build(name);
        play(original, before);
        const seen = original.events.length;
        const wasHigh = original.events.at(-1)?.startsWith('high') === true;
        const restored = copy(original, name);
        assert.deepEqual(
          restored.events.filter((event) => event.startsWith('high')).length,
          wasHigh ? 1 : 0,
          'the line has its level',
        );
        const first = restored.events.length;
        assert.deepEqual(play(restored, after), play(original, after));
        assert.deepEqual(restored.events.slice(first), original.events.slice(seen));
        const states = (machine: Machine) => machine.devices.map(({ device }) => device.save?.());
        assert.deepEqual(states(restored), states(original));
      }),
      { numRuns: 150 },
    );
  });

test('a timer of the UART that was set before its registers changed fires at its time', () => {
  // Loopback with OUT2; FIFOs on with trigger level 4, 5 data bits: the guest sends itself a
  // character, whose timeout it waits for. Then a smaller divisor makes a later timeout shorter.
  const original = build('uart16550');
  const uart = original.devices[0]?.device;
  assert.ok(uart !== undefined);
  const write = (offset: number, value: number): void => void uart.write(offset, 1, value);
  write(1, 1);
  write(2, 0x41);
  write(4, 0x10);
  write(0, 0x15);
  for (const [offset, value] of [
    [3, 0x80],
    [0, 1],
    [1, 0],
    [3, 0],
    [4, 0x08],
  ] as const)
    write(offset, value);
  const restored = copy(original, 'uart16550');
  const first = original.events.length;
  for (const machine of [original, restored]) machine.clock.advance(100);
  assert.equal(original.events.length, first + 1);
  assert.equal(restored.events.at(-1), original.events.at(-1));
});

test('a state with any field changed is refused or taken, and the device goes on', () => {
  const anything = fc.oneof(
    fc.constant(null),
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.array(fc.integer()),
    fc.boolean(),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(BUILDERS)),
      steps,
      fc.nat(1000),
      anything,
      (name, program, at, value) => {
        const original = build(name);
        play(original, program);
        const hostile = build(name);
        original.devices.forEach(({ device }, index) => {
          const state: unknown = JSON.parse(JSON.stringify(device.save?.()));
          try {
            hostile.devices[index]?.device.restore?.(name === 'small' ? state : replaced(state, at, value));
          } catch (error) {
            assert.ok(error instanceof UpcallError, String(error));
            assert.equal(error.code, 'SNAPSHOT_INVALID');
          }
        });
        for (const result of play(hostile, program))
          assert.ok(result === undefined || Number.isInteger(result) || typeof result === 'boolean');
      },
    ),
    { numRuns: 300 },
  );
});

/** The state with its field number `at`, counted through its parts, replaced. */
function replaced(state: unknown, at: number, value: unknown): unknown {
  const paths: (readonly string[])[] = [];
  const collect = (part: unknown, path: readonly string[]): void => {
    if (path.length > 0) paths.push(path);
    if (typeof part === 'object' && part !== null)
      for (const [key, inner] of Object.entries(part)) collect(inner, [...path, key]);
  };
  collect(state, []);
  const path = paths[at % Math.max(1, paths.length)];
  if (path === undefined) return value;
  const changed: unknown = structuredClone(state);
  let part = changed as Record<string, unknown>;
  for (const key of path.slice(0, -1)) part = part[key] as Record<string, unknown>;
  part[path.at(-1) as string] = value;
  return changed;
}
