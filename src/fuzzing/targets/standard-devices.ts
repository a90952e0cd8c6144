/**
 * The standard devices of a PC for the fuzz target "devices". Each is created on its own with a
 * clock, an interrupt line and an output that count. Called by: device-programs.ts.
 */

import type { Clock } from '../../device-model/clock.js';
import type { Device } from '../../device-model/device.js';
import { ACPI_PM_PORTS } from '../../device-model/devices/acpi-pm-registers.js';
import { AcpiPm } from '../../device-model/devices/acpi-pm.js';
import { AcpiSmiCommand } from '../../device-model/devices/acpi-smi-command.js';
import { CmosRtc } from '../../device-model/devices/cmos-rtc.js';
import { DebugExit } from '../../device-model/devices/debug-exit.js';
import { I8042 } from '../../device-model/devices/i8042.js';
import { PciBus } from '../../device-model/devices/pci/pci-bus.js';
import { PciHostBridge } from '../../device-model/devices/pci/pci-host-bridge.js';
import { Pit8254 } from '../../device-model/devices/pit8254.js';
import { PostPort } from '../../device-model/devices/post-port.js';
import { ResetControl } from '../../device-model/devices/reset-control.js';
import { SystemControlPort } from '../../device-model/devices/system-control-port.js';
import { Uart16550 } from '../../device-model/devices/uart16550.js';
import type { FuzzInput } from '../fuzz-input.js';

export interface DeviceCounts {
  /** Calls that set the interrupt line. */
  lineMoves: number;
  /** The line is high. */
  level: boolean;
  /** Bytes of output. */
  output: number;
}

export interface MadeDevices {
  /** The devices that share state, each with its number of ports. */
  readonly places: readonly { readonly device: Device; readonly ports: number }[];
  readonly counts: DeviceCounts;
  /** An event from outside, such as a received byte. */
  readonly fromOutside: (input: FuzzInput) => void;
}

export interface DeviceSet {
  readonly name: string;
  readonly make: (clock: Clock) => MadeDevices;
  /** Whether register `offset` of device `index` may keep its value over a reset. */
  readonly survives?: (index: number, offset: number) => boolean;
}

/** The RAM that the CMOS reports: 64 MiB. */
const RTC_BYTES = 1 << 26;
const PCI_REGISTERS = 0x1000;
const nothing = (): void => undefined;
/** A device may ask for a reset or a power-off, which does nothing here. */
const power = { powerOff: nothing, reset: nothing };

/** What a device gets. */
interface Surroundings {
  readonly clock: Clock;
  readonly counts: DeviceCounts;
  readonly interrupt: { set(high: boolean): void };
}

/** `build` returns the devices, each with its number of ports. `outside`: see `fromOutside`. */
function deviceSet(
  name: string,
  build: (surroundings: Surroundings) => readonly (readonly [Device, number])[],
  options: Partial<DeviceSet> & { readonly outside?: (device: Device, input: FuzzInput) => void } = {},
): DeviceSet {
  return {
    name,
    ...(options.survives === undefined ? {} : { survives: options.survives }),
    make: (clock) => {
      const counts: DeviceCounts = { lineMoves: 0, level: false, output: 0 };
      const interrupt = {
        set: (high: boolean): void => {
          counts.lineMoves++;
          counts.level = high;
        },
      };
      const places = build({ clock, counts, interrupt }).map(([device, ports]) => ({ device, ports }));
      return { places, counts, fromOutside: (input) => options.outside?.(places[0]?.device as Device, input) };
    },
  };
}

/** PCI configuration space of the host bridge as a device, through the bus. */
function configurationSpace(): Device {
  const bus = new PciBus();
  bus.add({ bus: 0, device: 0, function: 0 }, new PciHostBridge());
  return {
    name: 'pci-host-bridge',
    // The bus always returns 32 bits, which the hypervisor truncates.
    read: (offset, size) => (bus.read(0, 0, 0, offset, size) & (2 ** (8 * size) - 1)) >>> 0,
    write: (offset, size, value) => bus.write(0, 0, 0, offset, size, value),
    reset: () => bus.reset(),
  };
}

export const DEVICE_SETS: readonly DeviceSet[] = [
  deviceSet(
    'uart16550',
    ({ clock, counts, interrupt }) => [
      [new Uart16550({ clock, interrupt, output: { write: (bytes) => (counts.output += bytes.length) } }), 8],
    ],
    {
      // The modem lines are inputs from the other end of the cable.
      survives: (_, offset) => offset === 6,
      outside: (uart, input) => {
        if (!(uart instanceof Uart16550)) return;
        if (input.below(4) === 0) uart.receiveBreak();
        else uart.receive(new Uint8Array(input.u8()));
        uart.setModemLines({ cts: input.below(2) === 0, dcd: input.below(2) === 0 });
      },
    },
  ),
  deviceSet('pit8254', ({ clock, interrupt }) => {
    const pit = new Pit8254({ clock, interrupt });
    return [
      [pit, 4],
      [new SystemControlPort(pit), 1],
    ];
  }),
  deviceSet('cmos-rtc', ({ clock, interrupt }) => [[new CmosRtc({ clock, interrupt, memoryBytes: RTC_BYTES }), 2]], {
    // After a reset the data port shows index 0, the seconds, which a battery keeps running.
    survives: (_, offset) => offset === 1,
  }),
  deviceSet('i8042', ({ interrupt }) => {
    const controller = new I8042({ power, interrupt });
    return [
      [controller.data, 1],
      [controller.command, 1],
    ];
  }),
  deviceSet('acpi-pm', ({ clock, interrupt }) => {
    const pm = new AcpiPm({ clock, power, sci: interrupt });
    return [
      [pm, ACPI_PM_PORTS],
      [new AcpiSmiCommand(pm), 1],
    ];
  }),
  deviceSet('reset-control', () => [[new ResetControl({ power }), 1]]),
  deviceSet('debug-exit', () => [[new DebugExit({ power }), 4]]),
  deviceSet('post-port', () => [[new PostPort(), 1]]),
  deviceSet('pci', () => [[configurationSpace(), PCI_REGISTERS]]),
];
