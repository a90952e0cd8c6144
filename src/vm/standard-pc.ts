/**
 * standardPc: the devices that a PC's software expects, at their usual ports, in one call.
 *
 * Called by: the command line, and programs that want a machine in a dozen lines. Others attach
 * what they need one by one.
 *
 * The guest sees: serial port COM1, real-time clock, interval timer with the system control port
 * 0x61, keyboard controller, ACPI power management with its SMI command port, reset control, debug
 * exit, POST port, and a PCI bus with its host bridge.
 */

import type { AccessSize, ByteSink, Device } from '../device-model/device.js';
import { ACPI_PM_PORTS } from '../device-model/devices/acpi-pm-registers.js';
import { AcpiPm } from '../device-model/devices/acpi-pm.js';
import { AcpiSmiCommand } from '../device-model/devices/acpi-smi-command.js';
import { CmosRtc } from '../device-model/devices/cmos-rtc.js';
import { DebugExit } from '../device-model/devices/debug-exit.js';
import { I8042 } from '../device-model/devices/i8042.js';
import { PCI_ECAM_ADDRESS, PCI_ECAM_BYTES, PciEcam } from '../device-model/devices/pci/pci-ecam.js';
import { PciHostBridge } from '../device-model/devices/pci/pci-host-bridge.js';
import { Pit8254 } from '../device-model/devices/pit8254.js';
import { PostPort } from '../device-model/devices/post-port.js';
import { ResetControl } from '../device-model/devices/reset-control.js';
import { SystemControlPort } from '../device-model/devices/system-control-port.js';
import { Uart16550 } from '../device-model/devices/uart16550.js';
import { mmio, ports } from '../hsm/address-range.js';
import type { UserVm } from './user-vm.js';

export interface StandardPcOptions {
  /** Where the guest's serial port writes. Default: nowhere. */
  readonly console?: ByteSink;
  /**
   * Called after each write to a register of the serial port, thus after each character. If it
   * returns a promise, the write is finished when that resolves, so the guest waits: a slow reader
   * slows the guest, and no queue grows. The promise must settle within the client time limit
   * (`clientTimeoutMs`).
   */
  readonly consoleRoom?: () => Promise<void> | undefined;
  /**
   * Input waits until the guest has opened the port, for input that is piped in
   * (`Uart16550Options.flowControl`).
   */
  readonly consoleFlowControl?: boolean;
  /** Called when the serial port has room again after it refused input. */
  readonly onConsoleInputRoom?: () => void;
  /** Called with each POST code (port 0x80). */
  readonly onPostCode?: (code: number) => void;
}

export interface StandardPc {
  readonly uart: Uart16550;
  readonly rtc: CmosRtc;
  readonly pit: Pit8254;
  readonly keyboard: I8042;
  readonly acpiPm: AcpiPm;
  readonly debugExit: DebugExit;
  readonly postPort: PostPort;
}

/**
 * Attaches the standard devices to a VM that has not started. Throws RANGE_OVERLAP if another
 * device is at one of their ports or at the PCI bus's memory range, and what else `attach` and
 * `attachPci` throw. The devices before that one then stay attached.
 */
export function standardPc(vm: UserVm, options: StandardPcOptions = {}): StandardPc {
  // Ports and lines are those of the IBM PC AT. Those it did not have: 0x400 and 0xb2 are in our
  // ACPI tables (hypervisor/boot/), 0xcf9 is Intel's chipsets', 0xf4 QEMU's isa-debug-exit.
  const { clock, power } = vm;
  const uart = new Uart16550({
    interrupt: vm.interruptLine(4, 'uart16550'),
    clock,
    ...(options.console === undefined ? {} : { output: options.console }),
    ...(options.consoleFlowControl === undefined ? {} : { flowControl: options.consoleFlowControl }),
    ...(options.onConsoleInputRoom === undefined ? {} : { onInputRoom: options.onConsoleInputRoom }),
  });
  const rtc = new CmosRtc({
    clock,
    memoryBytes: vm.memory.size,
    interrupt: vm.interruptLine(8, 'cmos-rtc'),
    onTimeSet: (lastTime, delta) => vm.emit({ kind: 'rtc-changed', lastTime, delta }),
  });
  const pit = new Pit8254({ clock, interrupt: vm.interruptLine(0, 'pit8254') });
  const keyboard = new I8042({ power, interrupt: vm.interruptLine(1, 'i8042') });
  const acpiPm = new AcpiPm({ clock, power, sci: vm.interruptLine(9, 'acpi-pm') });
  const debugExit = new DebugExit({ power });
  const postPort = new PostPort(options.onPostCode === undefined ? {} : { onCode: options.onPostCode });

  vm.attach(ports(0x3f8, 8), options.consoleRoom === undefined ? uart : paced(uart, options.consoleRoom));
  vm.attach(ports(0x70, 2), rtc);
  vm.attach(ports(0x40, 4), pit);
  vm.attach(ports(0x61, 1), new SystemControlPort(pit));
  vm.attach(ports(0x60, 1), keyboard.data);
  vm.attach(ports(0x64, 1), keyboard.command);
  vm.attach(ports(0x400, ACPI_PM_PORTS), acpiPm);
  vm.attach(ports(0xb2, 1), new AcpiSmiCommand(acpiPm));
  vm.attach(ports(0xcf9, 1), new ResetControl({ power }));
  vm.attach(ports(0xf4, 4), debugExit);
  vm.attach(ports(0x80, 1), postPort);
  vm.attach(mmio(PCI_ECAM_ADDRESS, PCI_ECAM_BYTES), new PciEcam(vm.pci));
  vm.attachPci({ bus: 0, device: 0, function: 0 }, new PciHostBridge());
  return { uart, rtc, pit, keyboard, acpiPm, debugExit, postPort };
}

/** The serial port with slower writes: each is finished when `room` says that the next one fits. */
function paced(uart: Uart16550, room: () => Promise<void> | undefined): Device {
  return {
    name: uart.name,
    registers: uart.registers,
    peek: (offset: number, size: AccessSize, name?: string) => uart.peek(offset, size, name),
    read: (offset: number, size: AccessSize) => uart.read(offset, size),
    write: (offset: number, size: AccessSize, value: number) => {
      uart.write(offset, size, value);
      return room();
    },
    reset: () => uart.reset(),
    save: () => uart.save(),
    restore: (state) => uart.restore(state),
    close: () => uart.close(),
  };
}
