/**
 * Cases of VMs with 1 to 16 vCPUs: each has its slot, and none waits for another.
 *
 * Called by: suite.ts.
 */

import { MAX_VCPUS } from '../../../hypervisor/hypervisor.js';
import { Upcall } from '../../../hypervisor/upcall.js';
import { SharedBuffer } from '../../../io-request/shared-buffer.js';
import { IoRequestState } from '../../../io-request/state.js';
import { UpcallError } from '../../../io-request/upcall-error.js';
import { hypervisorFor } from '../capability.js';
import { check, equal } from '../check.js';
import type { GuestProgram } from '../guest-program.js';
import { requestText } from '../request-text.js';
import { TestedVm, type Exchange } from '../tested-vm.js';
import { hex, MMIO, REPORT_PORT, type CaseDefinition } from './case.js';

const ROUNDS = 8;
const MEMORY_BYTES = 1 << 20;

/** vCPU `vcpu` uses ports and addresses of its own, so that a mix-up is seen. */
function program(vcpu: number): GuestProgram {
  return {
    steps: [
      { op: 'out', port: 0x600 + vcpu, size: 1, value: vcpu },
      { op: 'load', address: MMIO + 4 * vcpu, size: 4 },
      { op: 'out', port: REPORT_PORT + 4 * vcpu, size: 4, value: { read: 0 } },
    ],
    forever: true,
  };
}

/** The requests of one round of `program`, whose load is answered with `value`. */
function round(vcpu: number, value: number): Exchange[] {
  return [
    [`out ${hex(0x600 + vcpu)}/1 = ${hex(vcpu)}`],
    [`load ${hex(MMIO + 4 * vcpu)}/4`, value],
    [`out ${hex(REPORT_PORT + 4 * vcpu)}/4 = ${hex(value)}`],
  ];
}

/** Every vCPU makes its first request. Then each plays rounds while the others wait for theirs. */
async function eachAlone(tested: TestedVm, vcpus: readonly number[]): Promise<void> {
  tested.start();
  for (const vcpu of vcpus) equal(await tested.request(vcpu), round(vcpu, 0)[0]?.[0], `request of vCPU ${vcpu}`);
  for (const vcpu of vcpus) {
    await tested.exchange([...round(vcpu, 1000 + vcpu), ...round(vcpu, 2000 + vcpu)], vcpu);
    await tested.request(vcpu);
    for (const other of vcpus)
      equal(requestText(tested.slot(other)), round(other, 0)[0]?.[0], `slot ${other} while vCPU ${vcpu} ran alone`);
  }
  for (const { vcpu, state } of tested.buffer.slots)
    if (vcpu >= vcpus.length) equal(state, IoRequestState.FREE, `slot ${vcpu}, which no vCPU has`);
}

export const VCPU_CASES: readonly CaseDefinition[] = [
  ...Array.from({ length: MAX_VCPUS }, (_, index) => index + 1).map((count): CaseDefinition => ({
    name: `${count} vCPU${count === 1 ? '' : 's'}: each alone while the others wait, all together, and after a reset`,
    run: async (under) => {
      const vcpus = Array.from({ length: count }, (_, vcpu) => vcpu);
      await TestedVm.run(under, vcpus.map(program), async (tested) => {
        await eachAlone(tested, vcpus);
        await tested.pause();
        await tested.reset();
        tested.start();
        const rounds = Array.from({ length: ROUNDS }, (_, value) => value);
        await tested.exchangeAll(vcpus.map((vcpu) => rounds.flatMap((value) => round(vcpu, 100 * vcpu + value))));
      });
    },
  })),
  {
    name: `more than ${MAX_VCPUS} vCPUs are refused with VM_LIMIT`,
    run: async (under) => {
      const hypervisor = await hypervisorFor(under, []);
      const config = { name: 'tested', memoryBytes: MEMORY_BYTES, vcpuCount: MAX_VCPUS + 1, completionPolling: false };
      let code: string | undefined;
      try {
        await hypervisor.createVm(config, new SharedBuffer(), new Upcall(), () => undefined);
      } catch (error) {
        code = error instanceof UpcallError ? error.code : String(error);
      }
      check(code === 'VM_LIMIT', `a VM with ${MAX_VCPUS + 1} vCPUs: ${code ?? 'was created'}, expected VM_LIMIT`);
    },
  },
];
