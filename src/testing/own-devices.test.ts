/**
 * upcall's own devices and those of examples/, checked by the test kit: each against its own
 * register map, and by random programs. An exemption names the finding that it allows and says why.
 * One that no finding needs is a fault, and so is a device with a map that is not listed here.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { AccessSize, Device, PowerControl } from '../device-model/device.js';
import { allOnes } from '../device-model/device.js';
import { ACPI_PM_PORTS } from '../device-model/devices/acpi-pm-registers.js';
import { AcpiPm } from '../device-model/devices/acpi-pm.js';
import { AcpiSmiCommand } from '../device-model/devices/acpi-smi-command.js';
import { CmosRtc } from '../device-model/devices/cmos-rtc.js';
import { DebugExit } from '../device-model/devices/debug-exit.js';
import { I8042 } from '../device-model/devices/i8042.js';
import { PciHostBridge } from '../device-model/devices/pci/pci-host-bridge.js';
import { Pit8254 } from '../device-model/devices/pit8254.js';
import { PostPort } from '../device-model/devices/post-port.js';
import { ResetControl } from '../device-model/devices/reset-control.js';
import { SystemControlPort } from '../device-model/devices/system-control-port.js';
import { Uart16550 } from '../device-model/devices/uart16550.js';
import type { DeviceContext } from '../device-model/placement/device-module.js';
import type { RegisterMap } from '../device-model/register-map.js';
import type { Bench } from './bench.js';
import { cardBench } from './card-bench.js';
import { deviceBench } from './device-bench.js';
import { findFailingProgram } from './random-programs.js';
import { checkRegisters } from './register-check.js';

interface Entry {
  readonly make: () => Promise<Bench>;
  /** Why random programs are not for it. */
  readonly notRandom?: string;
  /** A program after which flags are set. */
  readonly prepare?: string;
  /** Findings that are no faults, each with the reason. */
  readonly exempt?: readonly (readonly [finding: RegExp, reason: string])[];
  /** What the check cannot reach, with the reason. */
  readonly unchecked?: readonly (readonly [what: RegExp, reason: string])[];
}

const power: PowerControl = { powerOff: () => undefined, reset: () => undefined };

const device =
  (length: number, create: (context: DeviceContext) => Device): (() => Promise<Bench>) =>
  () =>
    deviceBench((context) => create(context), { length });

const examples = new URL('../../examples/devices/', import.meta.url);
const example = (name: string): string => new URL(`${name}.js`, examples).href;
const exampleDevice =
  (name: string, length: number): (() => Promise<Bench>) =>
  () =>
    deviceBench(example(name), { length });
const exampleCard =
  (name: string, options: object = {}): (() => Promise<Bench>) =>
  () =>
    cardBench(example(name), { options });

/** Registers behind an index port: offsets are indices, and one port has the data. */
function behindIndex(chip: Device & { readonly registers: RegisterMap }): Device {
  const select = (offset: number): void => void chip.write(0, 1, offset & 0x7f);
  return {
    name: chip.name,
    registers: chip.registers,
    read: (offset, size) => {
      if (size !== 1) return allOnes(size);
      select(offset);
      return chip.read(1, 1);
    },
    write: (offset, size, value) => {
      if (size !== 1) return;
      select(offset);
      void chip.write(1, 1, value);
    },
    peek: (offset, size, name) => (size === 1 ? chip.peek?.(offset, size, name) : allOnes(size)),
    reset: () => chip.reset?.(),
    close: () => chip.close?.(),
  };
}

interface ConfigSpace {
  readonly name: string;
  readonly registers: RegisterMap;
  readConfig(register: number, size: AccessSize): number;
  writeConfig(register: number, size: AccessSize, value: number): void;
  peekConfig(register: number, size: AccessSize, name: string): number | undefined;
  reset?(): void;
}

/** A PCI function's configuration space as a device. */
function asDevice(config: ConfigSpace): Device {
  return {
    name: config.name,
    registers: config.registers,
    read: (register, size) => config.readConfig(register, size),
    write: (register, size, value) => config.writeConfig(register, size, value),
    peek: (register, size, name = '') => config.peekConfig(register, size, name),
    reset: () => config.reset?.(),
  };
}

const ENTRIES: Readonly<Record<string, Entry>> = {
  uart16550: {
    make: device(8, (context) => new Uart16550({ clock: context.clock, interrupt: context.interruptLine(4) })),
    exempt: [
      [/^DLL: a peek gives 0xc, the read after it 0x0/, 'reads reach it with LCR.DLAB only, a peek names it'],
      [
        /^IIR: (write\(IIR,|it is read-only, and a write)/,
        'a write to its port is one of FCR, which enables the FIFOs',
      ],
    ],
  },
  pit8254: {
    make: device(4, (context) => new Pit8254({ clock: context.clock, interrupt: context.interruptLine(0) })),
  },
  'system-control-port': {
    make: device(
      1,
      (context) => new SystemControlPort(new Pit8254({ clock: context.clock, interrupt: context.interruptLine(0) })),
    ),
  },
  'cmos-rtc': {
    make: device(0x80, (context) =>
      behindIndex(new CmosRtc({ clock: context.clock, interrupt: context.interruptLine(8), memoryBytes: 1 << 26 })),
    ),
    prepare: 'write(SECALRM,0xff) write(MINALRM,0xff) write(HOURALRM,0xff) write(B,0x72) wait(1s)',
    exempt: [[/^(SECALRM|MINALRM|HOURALRM|SHUTDOWN|CHECKSUM): it is .* after a reset/, 'a battery keeps it']],
    notRandom: 'a battery keeps its bytes, and random programs compare them after a reset with a new device',
  },
  'i8042-data': {
    make: device(1, (context) => new I8042({ power, interrupt: context.interruptLine(1) }).data),
  },
  'i8042-command': {
    make: device(1, (context) => new I8042({ power, interrupt: context.interruptLine(1) }).command),
  },
  'acpi-pm': {
    make: device(
      ACPI_PM_PORTS,
      (context) =>
        new AcpiPm({
          clock: context.clock,
          power,
          sci: context.interruptLine(9),
          timerBits: 24,
          startsInAcpiMode: true,
        }),
    ),
    prepare: 'wait(2400ms)',
    unchecked: [
      [/^PM1_STS\.(BM|GBL|PWRBTN|SLPBTN|RTC|WAK)_STS is not set/, 'the host sets it, and no access of a guest'],
    ],
  },
  'acpi-smi-command': { make: device(1, () => new AcpiSmiCommand({ setAcpiMode: () => undefined })) },
  'post-port': { make: device(1, () => new PostPort()) },
  'debug-exit': { make: device(4, () => new DebugExit({ power })) },
  'reset-control': { make: device(1, () => new ResetControl({ power })) },
  'pci-host-bridge': { make: device(256, () => asDevice(new PciHostBridge())) },
  'configuration space of copier': {
    make: async () => {
      const { function: one } = await cardBench(example('copier'));
      // The bench has placed its BARs.
      one.reset();
      return deviceBench(() => asDevice(one), { length: 256 });
    },
  },
  countdown: { make: exampleDevice('countdown', 8), prepare: 'write(MS,1) wait(1ms)' },
  'read-counter': { make: exampleDevice('read-counter', 4) },
  'text-screen': { make: exampleDevice('text-screen', 0x2_0000) },
  copier: { make: exampleCard('copier') },
  screen: { make: exampleCard('screen', { print: () => undefined }) },
  watchdog: { make: exampleCard('watchdog'), prepare: 'write(TIMEOUT,5) write(CONTROL,1) wait(5ms)' },
  'virtio-echo': { make: exampleCard('virtio-echo') },
};

for (const [name, { make, prepare, exempt = [], unchecked: known = [], notRandom }] of Object.entries(ENTRIES))
  describe(name, () => {
    test('does what its register map says, and stands a hostile guest', { timeout: 120_000 }, async (t) => {
      const { findings, unchecked } = await checkRegisters(make, prepare === undefined ? {} : { prepare });
      for (const [list, allowed, what] of [
        [findings, exempt, 'exempt'],
        [unchecked, known, 'not checked'],
      ] as const) {
        assert.deepEqual(
          list.filter((one) => !allowed.some(([pattern]) => pattern.test(one))),
          [],
        );
        for (const [pattern, reason] of allowed) {
          assert.ok(
            list.some((one) => pattern.test(one)),
            `nothing needs ${pattern}`,
          );
          t.diagnostic(`${what}: ${pattern}: ${reason}`);
        }
      }
    });

    test(
      'stands random programs',
      { timeout: 120_000, ...(notRandom === undefined ? {} : { skip: notRandom }) },
      async () => {
        assert.deepEqual(await findFailingProgram(make, { seed: 1, runs: 50 }), undefined);
      },
    );
  });

/** Why the kit cannot check them. */
const NOT_CHECKED: Readonly<Record<string, string>> = {
  'smp-counters': 'a read of MEET waits until other vCPUs read it, and a bench has none',
};
for (const [name, reason] of Object.entries(NOT_CHECKED)) test(name, { skip: reason }, () => undefined);

test('every device with a register map is listed, and so is every example', () => {
  const source = new URL('../../src/device-model/devices/', import.meta.url);
  const names = (readdirSync(source, { recursive: true }) as string[])
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(new URL(path.replaceAll('\\', '/'), source), 'utf8'))
    .filter((text) => /^ +(?:readonly )?registers[:=]? ?(?:=|: [A-Z_]+,)/m.test(text))
    .flatMap((text) => [...text.matchAll(/name(?: =|:) '([a-z0-9-]+)'/g)].map(([, name]) => name ?? ''));
  assert.ok(names.length >= 10, names.join(' '));
  const all = [...names, ...readdirSync(examples).map((file) => file.replace(/\.js$/, ''))];
  assert.deepEqual(
    all.filter((name) => !(name in ENTRIES) && !(name in NOT_CHECKED)),
    [],
  );
});
