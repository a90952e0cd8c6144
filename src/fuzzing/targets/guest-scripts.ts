/**
 * Target "guests": accesses of every kind and size by several vCPUs to a standard PC, at assigned
 * addresses, at their edges and at unassigned ones.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: the VM runs on or ends for a known reason, no device throws, and no access is lost.
 * Each access is answered by the hypervisor, becomes a request, or faults.
 */

import { ScriptedHypervisor, ServiceVm, standardPc } from '../../index.js';
import type { ScriptStep, UserVm, UserVmEvent } from '../../index.js';
import { FuzzInput } from '../fuzz-input.js';
import { expect, within, type FuzzTarget } from '../fuzz-target.js';

/** For one guest. It takes milliseconds, but the machine may be busy. */
const LIMIT_MS = 45_000;
const MAX_STEPS = 200;
const MAX_VCPUS = 3;
/** Ports of the PC's devices, their neighbours, and edges. */
const PORTS = [
  0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x62, 0x64, 0x70, 0x71, 0x72, 0x80, 0xa0, 0xb2, 0xf4, 0xf7, 0x3f7,
  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x400, 0x404, 0x408, 0x40b, 0x4d0, 0xcf7, 0xcf8, 0xcf9, 0xcfa,
  0xcfc, 0xcfd, 0xcfe, 0xcff, 0xd00, 0xfffc, 0xfffd, 0xffff, 0,
];
/** Guest physical addresses: video memory, PCI windows, interrupt controllers, and edges. */
const MEMORY = [
  0xa_0000,
  0xb_8000,
  0xf_fffe,
  0x10_0000,
  0x7fff_fffc,
  0x8000_0000,
  0xe000_0000,
  0xfebf_fffc,
  0xfec0_0000,
  0xfec0_0ffe,
  0xfee0_0000,
  0xfee0_0ffe,
  0xffff_fff8,
  0xffff_fffe,
  0xffff_ffff,
  0x1_0000_0000,
  0xf_ffff_fff8,
  2 ** 52 - 8,
  2 ** 52 - 1,
];
const VALUES = [
  0, 1, 2, 0x0e, 0x30, 0x34, 0x36, 0x55, 0x80, 0xb6, 0xc7, 0xfe, 0x3c00, 0x2000, 0x8000_0000, 0x8000_0004, 0x80ff_fffc,
  0xffff_ffff,
];
/** Events that a guest can cause. Any other event is a bug. */
const EXPECTED: readonly UserVmEvent['kind'][] = ['halted', 'reset', 'ended', 'rtc-changed', 'flush-timeout'];

export const guestScripts: FuzzTarget = {
  name: 'guests',
  about: 'accesses of vCPUs to a standard PC',
  maxBytes: 1200,
  open: () => Promise.resolve({ run: (bytes) => run(new FuzzInput(bytes)), close: () => undefined }),
};

async function run(input: FuzzInput): Promise<void> {
  const vcpus = 1 + input.below(MAX_VCPUS);
  const repeat = 1 + input.below(4);
  // One VM in sixteen polls: a polling vCPU keeps a core busy.
  const options = { completionPolling: input.below(16) === 15, interceptPci: input.below(2) === 1 };
  const scripts = Array.from({ length: vcpus }, (): { steps: ScriptStep[]; repeat: number } => ({ steps: [], repeat }));
  for (let count = 0; !input.isEmpty && count < MAX_STEPS; count++) input.pick(scripts).steps.push(access(input));

  const serviceVm = new ServiceVm(new ScriptedHypervisor(scripts));
  const events: UserVmEvent[] = [];
  try {
    const vm = await serviceVm.createUserVm({
      memoryMiB: 1,
      vcpus,
      statistics: true,
      clientTimeoutMs: Infinity,
      ...options,
    });
    vm.onEvent((event) => events.push(event));
    standardPc(vm, { console: { write: () => undefined } });
    await vm.start();
    const { reason } = await within(LIMIT_MS, 'the end of a guest', vm.ended);
    expect(['halted', 'power-off', 'reset-loop'].includes(reason), () => `ended as ${reason}`);
    const resets = events.filter(({ kind }) => kind === 'reset').length;
    checkCounts(vm, scripts, reason === 'halted' && resets === 0 ? 0 : 1 + resets);
  } finally {
    await within(LIMIT_MS, 'close', serviceVm.close());
  }
  const unexpected = events.find(({ kind }) => !EXPECTED.includes(kind));
  expect(unexpected === undefined, () => JSON.stringify(unexpected));
}

/**
 * Checks that no access is lost. `stops`: how often the vCPUs were stopped during an access, by a
 * reset or a power-off.
 */
function checkCounts(
  vm: UserVm,
  scripts: readonly { steps: readonly ScriptStep[]; repeat: number }[],
  stops: number,
): void {
  const counters = vm.counters();
  const { portAccesses, mmioAccesses, answeredByHypervisor, requests, failed } = counters;
  const [accesses, accounted] = [portAccesses + mmioAccesses, answeredByHypervisor + requests];
  // A stopped vCPU may have counted an access that never became a request.
  const unfinished = failed + scripts.length * stops;
  expect(
    accesses >= accounted && accesses <= accounted + unfinished,
    () => `accesses are lost: ${JSON.stringify(counters)}`,
  );
  const counted = vm.statistics()?.requests ?? 0;
  expect(counted <= requests, () => `${requests} requests, and the HSM saw ${counted}`);
  if (stops > 0) return;
  expect(counted === requests, () => `${requests} requests, of which the HSM saw ${counted}`);
  const played = scripts.reduce((sum, { steps, repeat }) => sum + steps.length * repeat, 0);
  expect(accesses === played, () => `${played} accesses were played and ${accesses} counted`);
}

/** One step of a script: three in four are port accesses. */
function access(input: FuzzInput): ScriptStep {
  const kind = input.below(4);
  const direction = input.below(2) === 0 ? 'read' : 'write';
  if (kind < 3) {
    const address = (input.below(8) === 7 ? input.u16() : input.pick(PORTS)) & 0xffff;
    const size = input.pick([1, 2, 4] as const);
    return { type: 'port', direction, address, size, value: input.word(VALUES) };
  }
  const size = input.pick([1, 2, 4, 8] as const);
  const base = input.below(4) === 3 ? input.u32() : input.pick(MEMORY);
  const address = base + input.below(8);
  const type = input.below(8) === 7 ? 'write-protect' : 'mmio';
  return { type, direction, address: Math.min(address, 2 ** 52 - 1), size, value: input.word(VALUES) };
}
