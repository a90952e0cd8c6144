/**
 * Cases with the whole of upcall above the hypervisor: a ServiceVm, its worker and devices.
 *
 * Called by: suite.ts.
 */

import type { Device } from '../../../device-model/device.js';
import { mmio, ports } from '../../../hsm/address-range.js';
import type { Hypercalls } from '../../../hypervisor/hypercalls.js';
import type { Hypervisor } from '../../../hypervisor/hypervisor.js';
import { ServiceVm } from '../../../vm/service-vm.js';
import type { UserVm } from '../../../vm/user-vm.js';
import { hypervisorFor, limitOf, orCannot } from '../capability.js';
import { equal, until, within } from '../check.js';
import type { GuestProgram, GuestStep } from '../guest-program.js';
import type { HypervisorUnderTest } from '../hypervisor-under-test.js';
import { cut, hex, MMIO, REPORT_PORT, type CaseDefinition } from './case.js';

const ALL_ONES = 0xffff_ffff;
const ROUNDS = 50;

/** The accesses of a device's guest, in order. */
class Recorder implements Device {
  readonly name = 'recorder';
  readonly accesses: string[] = [];
  readonly #value: number;

  constructor(value: number) {
    this.#value = value;
  }

  read(offset: number, size: number): number {
    this.accesses.push(`read ${offset}/${size}`);
    return this.#value;
  }

  write(offset: number, size: number, value: number): void {
    this.accesses.push(`write ${offset}/${size} = ${hex(value)}`);
  }
}

/** Gives the VM's guests their programs as soon as it is created. */
function loading(hypervisor: Hypervisor, under: HypervisorUnderTest, programs: readonly GuestProgram[]): Hypervisor {
  return {
    name: hypervisor.name,
    available: () => hypervisor.available(),
    createVm: async (...given): Promise<Hypercalls> => {
      const vm = await hypervisor.createVm(...given);
      under.load?.(vm.memory, programs).forEach((registers, vcpu) => vm.setVcpuRegs(vcpu, registers));
      return vm;
    },
  };
}

async function withUserVm(
  under: HypervisorUnderTest,
  programs: readonly GuestProgram[],
  work: (vm: UserVm) => Promise<void>,
): Promise<void> {
  const serviceVm = new ServiceVm(loading(await hypervisorFor(under, programs), under, programs));
  try {
    const vcpuCount = programs.length;
    await work(await orCannot(serviceVm.createUserVm({ memoryMiB: 1, vcpus: vcpuCount }), vcpuCount, under));
  } finally {
    await within(serviceVm.close(), 'closing the Service VM', limitOf(under));
  }
}

const ended = (vm: UserVm, under: HypervisorUnderTest) => within(vm.ended, "the guest's end", limitOf(under));

export const SERVICE_VM_CASES: readonly CaseDefinition[] = [
  {
    name: 'what no device claims reads as all ones, in each size',
    run: (under) => {
      const reads: GuestStep[] = [
        ...([1, 2, 4] as const).map((size): GuestStep => ({ op: 'in', port: 0x570, size })),
        ...([1, 2, 4] as const).map((size): GuestStep => ({ op: 'load', address: MMIO, size })),
      ];
      const steps = reads.flatMap((step, index): GuestStep[] => [
        step,
        { op: 'out', port: REPORT_PORT, size: 4, value: { read: index } },
      ]);
      return withUserVm(under, [{ steps }], async (vm) => {
        const report = new Recorder(0);
        vm.attach(ports(REPORT_PORT, 4), report);
        await vm.start();
        equal((await ended(vm, under)).reason, 'halted', "the guest's end");
        equal(
          report.accesses,
          [1, 2, 4, 1, 2, 4].map((size) => `write 0/4 = ${hex(cut(ALL_ONES, size))}`),
          'what the guest read',
        );
      });
    },
  },
  {
    name: 'devices at a port and in memory get each access with its offset, size and value',
    run: (under) => {
      const steps: GuestStep[] = [
        { op: 'out', port: 0x571, size: 2, value: 0x1234 },
        { op: 'in', port: 0x573, size: 1 },
        { op: 'store', address: MMIO + 0x10, size: 4, value: { read: 0 } },
        { op: 'load', address: MMIO + 0x16, size: 2 },
        { op: 'out', port: 0x570, size: 4, value: { read: 1 } },
      ];
      return withUserVm(under, [{ steps }], async (vm) => {
        const port = new Recorder(0x5a);
        const memory = new Recorder(0xbeef);
        vm.attach(ports(0x570, 4), port);
        vm.attach(mmio(MMIO, 0x1000), memory);
        await vm.start();
        equal((await ended(vm, under)).reason, 'halted', "the guest's end");
        equal(port.accesses, ['write 1/2 = 0x1234', 'read 3/1', 'write 0/4 = 0xbeef'], 'accesses to ports');
        equal(memory.accesses, ['write 16/4 = 0x5a', 'read 22/2'], 'accesses to memory');
      });
    },
  },
  {
    name: 'a device’s interrupt wakes the guest',
    run: (under) => {
      const steps: GuestStep[] = [
        { op: 'out', port: 0x570, size: 1, value: 1 },
        { op: 'wait', line: 5 },
        { op: 'out', port: REPORT_PORT, size: 1, value: 2 },
      ];
      return withUserVm(under, [{ steps }], async (vm) => {
        const line = vm.interruptLine(5);
        const report = new Recorder(0);
        vm.attach(ports(0x570, 1), { name: 'raiser', read: () => 0, write: () => line.set(true) });
        vm.attach(ports(REPORT_PORT, 1), report);
        await vm.start();
        equal((await ended(vm, under)).reason, 'halted', "the guest's end");
        equal(report.accesses, ['write 0/1 = 0x2'], 'what the guest wrote after the interrupt');
      });
    },
  },
  {
    name: 'a guest that never halts is destroyed while its device has a request',
    run: (under) =>
      withUserVm(under, [{ steps: [{ op: 'in', port: 0x570, size: 1 }], forever: true }], async (vm) => {
        let reads = 0;
        vm.attach(ports(0x570, 1), {
          name: 'never answers',
          read: () => (++reads < ROUNDS ? 0 : new Promise<number>(() => undefined)),
          write: () => undefined,
        });
        await vm.start();
        await until(() => reads === ROUNDS, 'the request that stays', limitOf(under));
        await within(vm.destroy(), 'destroying the VM', limitOf(under));
        equal((await ended(vm, under)).reason, 'destroyed', "the guest's end");
        equal(reads, ROUNDS, 'requests');
      }),
  },
  ...[1, 2, 16].map((count): CaseDefinition => ({
    name: `${count} vCPU${count === 1 ? '' : 's'} of a Service VM get each their own answers`,
    run: (under) => {
      const programs = Array.from({ length: count }, (_, vcpu): GuestProgram => ({
        steps: Array.from({ length: ROUNDS }, (_, index): GuestStep[] => [
          { op: 'in', port: 0x600 + vcpu, size: 1 },
          { op: 'out', port: 0x620 + vcpu, size: 1, value: { read: index } },
        ]).flat(),
      }));
      return withUserVm(under, programs, async (vm) => {
        const counts = programs.map(() => 0);
        const written = programs.map((): number[] => []);
        vm.attach(ports(0x600, count), {
          name: 'counters',
          read: (offset) => {
            const value = (counts[offset] ?? 0) + 1;
            counts[offset] = value;
            return value;
          },
          write: () => undefined,
        });
        vm.attach(ports(0x620, count), {
          name: 'reports',
          read: () => 0,
          write: (offset, _, value) => void written[offset]?.push(value),
        });
        await vm.start();
        const expected = Array.from({ length: ROUNDS }, (_, index) => index + 1);
        await until(() => written.every((values) => values.length === ROUNDS), "the guests' reports", limitOf(under));
        written.forEach((values, vcpu) => equal(values, expected, `what vCPU ${vcpu} read`));
      });
    },
  })),
];
