/**
 * Target "code": machine code with accesses of every kind on the CPU emulator v86, in real, 16-bit
 * protected, 32-bit and paged mode. The accesses are in, out, ins, outs, loads and stores of 8 to
 * 128 bits, locked and other read-modify-writes, repeated, unaligned and page-crossing ones.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: the process survives, the guest halts, and each byte of each access reaches the
 * Service VM once. The counts of the vCPU, of the HSM and of the program agree.
 */

import { FuzzInput } from '../fuzz-input.js';
import type { FuzzTarget } from '../fuzz-target.js';
import { GUEST_MODES } from './guest-modes.js';
import { MachineBench } from './machine-bench.js';
import { MachineProgram } from './machine-program.js';

const MAX_INSTRUCTIONS = 120;

export const machineCode: FuzzTarget = {
  name: 'code',
  about: 'machine code on the CPU emulator v86, in each mode',
  maxBytes: 800,
  open: async () => {
    const bench = await MachineBench.create();
    return { run: (bytes) => run(new FuzzInput(bytes), bench), close: () => bench.close() };
  },
};

async function run(input: FuzzInput, bench: MachineBench): Promise<void> {
  const mode = input.pick(GUEST_MODES);
  const program = new MachineProgram(mode.is32Bit);
  for (let left = MAX_INSTRUCTIONS; left > 0 && !input.isEmpty; left--) program.add(input, mode);
  await bench.play(mode, program.end());
}
