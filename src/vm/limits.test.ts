/**
 * Every documented limit at its edge, and one step past it: the edge works, the step is an error
 * with its code, the limit in its text, and, where there is one, the errno of the driver.
 *
 * Limits of lists with a test of their own: added ranges (hsm/address-map.test.ts), ioeventfds,
 * irqfds and event listeners (hsm/), breakpoints and expressions (debugging/), unpacked images
 * (hypervisor/boot), niceness (hypervisor/).
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMemory, parseSpin } from '../cli/option-values.js';
import { MAX_FAULT_RULES } from '../fault-injection/fault-injection.js';
import { MAX_RANGES } from '../hsm/address-map.js';
import { mmio, ports, type AddressRange } from '../hsm/address-range.js';
import { loadGuestImage } from '../hypervisor/boot/guest-image.js';
import { multibootKludge } from '../hypervisor/boot/fixtures/kernel-images.js';
import { MAX_COMMAND_LINE } from '../hypervisor/boot/low-memory.js';
import { GuestMemory } from '../hypervisor/guest-memory.js';
import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { TestMachine, imm32 } from '../hypervisor/v86/fixtures/test-machine.js';
import { GeneralRegister } from '../hypervisor/v86/core-layout.js';
import { V86Hypervisor } from '../hypervisor/v86/v86-hypervisor.js';
import { HALTED_FOREVER } from '../hypervisor/vcpu-loop.js';
import type { UpcallErrorCode } from '../io-request/upcall-error.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmOptions } from './user-vm-options.js';
import type { UserVm } from './user-vm.js';

interface Limit {
  readonly name: string;
  /** Values that work. */
  readonly edges: readonly number[];
  /** Values that do not. */
  readonly past: readonly number[];
  readonly use: (value: number) => unknown;
  readonly code: UpcallErrorCode;
  /** In the message or the remedy. */
  readonly says: RegExp;
}

const client = { name: 'client', notify: () => undefined };
const device = { name: 'device', read: () => 0, write: () => undefined };

async function withVm<T>(options: UserVmOptions, use: (vm: UserVm) => T, hypervisor = new ScriptedHypervisor([])) {
  const serviceVm = new ServiceVm(hypervisor);
  try {
    return use(await serviceVm.createUserVm(options));
  } finally {
    await serviceVm.close();
  }
}

const create = (options: UserVmOptions): Promise<unknown> => withVm(options, () => undefined);
const attach = (range: () => AddressRange): Promise<unknown> => withVm({}, (vm) => vm.attach(range(), device));
const onV86 = async <T>(options: UserVmOptions, use: (vm: UserVm) => T): Promise<T> => {
  const serviceVm = new ServiceVm(new V86Hypervisor());
  try {
    return use(await serviceVm.createUserVm(options));
  } finally {
    await serviceVm.close();
  }
};
const MIB = 2 ** 20;

const LIMITS: readonly Limit[] = [
  {
    name: 'memory of a VM, in MiB',
    edges: [1, 2048],
    past: [0, 2049, 1.5, -1, NaN],
    use: (memoryMiB) => create({ memoryMiB }),
    code: 'OPTION_INVALID',
    says: /from 1 to 2048/,
  },
  {
    name: 'memory of a VM on the v86 core, in MiB',
    edges: [1, 2048],
    past: [2049],
    use: (memoryMiB) => onV86({ memoryMiB }, () => undefined),
    code: 'OPTION_INVALID',
    says: /from 1 to 2048/,
  },
  {
    name: '--memory, in MiB',
    edges: [1, 2048],
    past: [0, 2049],
    use: (size) => parseMemory(String(size)),
    code: 'OPTION_INVALID',
    says: /from 1 to 2048/,
  },
  {
    name: 'vCPUs',
    edges: [1, 16],
    past: [0, 17, 1.5],
    use: (vcpus) => create({ vcpus }),
    code: 'VM_LIMIT',
    says: /1 to 16/,
  },
  {
    name: 'vCPUs on the v86 core',
    edges: [1],
    past: [2, 16],
    use: (vcpus) => onV86({ memoryMiB: 1, vcpus }, () => undefined),
    code: 'VM_LIMIT',
    says: /exactly one/,
  },
  {
    name: 'a port',
    edges: [0, 0xffff],
    past: [0x1_0000, -1],
    use: (port) => attach(() => ports(port, 1)),
    code: 'RANGE_INVALID',
    says: /ports are 0…0xffff/,
  },
  {
    name: 'a number of ports',
    edges: [1, 0x1_0000],
    past: [0, 0x1_0001],
    use: (count) => attach(() => ports(0, count)),
    code: 'RANGE_INVALID',
    says: /ports are 0…0xffff/,
  },
  {
    name: 'an MMIO address',
    edges: [2 ** 32 - 1, 2 ** 32, 2 ** 52 - 1],
    past: [2 ** 52, 2 ** 53, -1],
    use: (address) => attach(() => mmio(address, 1)),
    code: 'RANGE_INVALID',
    says: /at most 52 bits/,
  },
  {
    name: 'MMIO above the RAM of a VM on the v86 core',
    edges: [16 * MIB, 0xa_0000, 0xb_ffff, 0xffff_ffff],
    past: [16 * MIB - 1, 0, 0x9_ffff, 0xc_0000],
    use: (address) => onV86({ memoryMiB: 16 }, (vm) => vm.attach(mmio(address, 1), device)),
    code: 'RANGE_OVERLAP',
    says: /the guest's RAM/,
  },
  {
    name: 'ranges of the clients of a VM',
    edges: [MAX_RANGES],
    past: [MAX_RANGES + 1],
    use: (count) => withVm({}, (vm) => vm.createClient(client, Array<AddressRange>(count).fill(ports(0x500, 1)))),
    code: 'VM_LIMIT',
    says: /at most 65535 ranges/,
  },
  {
    name: 'devices beside a client’s ranges',
    edges: [MAX_RANGES - 1],
    past: [MAX_RANGES],
    use: (count) =>
      withVm({}, (vm) => {
        vm.createClient(client, Array<AddressRange>(count).fill(ports(0x500, 1)));
        // After an error the range is free: nothing was added.
        try {
          vm.attach(ports(0x600, 1), device);
        } finally {
          assert.equal(vm.inspection.clients.includes(client), true);
          assert.equal(vm.inspection.clients.length, count < MAX_RANGES ? 3 : 2);
        }
      }),
    code: 'VM_LIMIT',
    says: /at most 65535 ranges/,
  },
  {
    name: 'an interrupt line',
    edges: [0, INTERRUPT_LINES - 1],
    past: [INTERRUPT_LINES, -1, 1.5],
    use: (line) => withVm({}, (vm) => vm.interruptLine(line).set(true)),
    code: 'LINE_INVALID',
    says: /0 to 47|0…47/,
  },
  {
    name: 'the bytes of a multiboot kernel’s command line',
    edges: [0, MAX_COMMAND_LINE],
    past: [MAX_COMMAND_LINE + 1],
    use: (length) => {
      const byteLength = 8 * MIB;
      const memory = new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
      return loadGuestImage(memory, { image: multibootKludge(), cmdline: 'x'.repeat(length) });
    },
    code: 'OPTION_INVALID',
    says: /at most 61439/,
  },
  {
    name: 'spinUs',
    edges: [0, 10_000],
    past: [10_001, -1],
    use: async (spinUs) => {
      const serviceVm = new ServiceVm(new ScriptedHypervisor([]), { spinUs });
      await serviceVm.close();
    },
    code: 'OPTION_INVALID',
    says: /from 0 to 10000/,
  },
  {
    name: '--spin',
    edges: [0, 10_000],
    past: [10_001],
    use: (time) => parseSpin(String(time)),
    code: 'OPTION_INVALID',
    says: /from 0 to 10000/,
  },
  {
    name: 'clientTimeoutMs',
    edges: [1, Infinity],
    past: [0, -1, NaN],
    use: (clientTimeoutMs) => create({ clientTimeoutMs }),
    code: 'OPTION_INVALID',
    says: /a number above 0/,
  },
  {
    name: 'fault rules',
    edges: [MAX_FAULT_RULES],
    past: [MAX_FAULT_RULES + 1],
    use: (count) => create({ faults: { rules: Array.from({ length: count }, () => 'port=0x80: ones') } }),
    code: 'VM_LIMIT',
    says: /1000 fault rules/,
  },
];

describe('a documented limit', { timeout: 120_000 }, () => {
  for (const { name, edges, past, use, code, says } of LIMITS) {
    for (const value of edges)
      test(`${name}: ${value} works`, async () => {
        await use(value);
      });
    for (const value of past)
      test(`${name}: ${value} is refused with the limit`, async () => {
        await assert.rejects(new Promise((resolve) => resolve(use(value))), (error) => {
          const { code: got, message, remedy = '' } = error as { code?: string; message: string; remedy?: string };
          assert.equal(got, code, message);
          assert.match(`${message}. ${remedy}`, says);
          return true;
        });
      });
  }
});

describe('the RAM of a guest on the v86 core', { timeout: 120_000 }, () => {
  for (const megabytes of [1, 2048])
    test(`of ${megabytes} MiB is usable to its last byte, and ends there`, async () => {
      const memoryBytes = megabytes * MIB;
      const machine = await TestMachine.create({ memoryBytes, value: 0x77 });
      const last = memoryBytes - 1;
      // prettier-ignore
      machine.load([
        0xb0, 0xc3, 0xa2, ...imm32(last),                  // mov al, 0xc3 (ret); mov [last], al
        0xba, ...imm32(last), 0xff, 0xd2,                  // mov edx, last; call edx
        0x31, 0xc9, 0x8a, 0x0d, ...imm32(last),            // xor ecx, ecx; mov cl, [last]
        0x31, 0xdb, 0x8a, 0x1d, ...imm32(memoryBytes),     // xor ebx, ebx; mov bl, [memoryBytes]
        0xf4,
      ]);
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      const { ECX, EBX } = GeneralRegister;
      assert.deepEqual(
        [ECX, EBX].map((register) => machine.core.generalRegister(register)),
        [0xc3, 0x77],
      );
      assert.deepEqual(machine.accesses, [`load ${memoryBytes.toString(16)}/1`]);
      assert.equal(machine.memory.readU8(last), 0xc3);
    });
});
