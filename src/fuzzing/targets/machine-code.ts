/**
 * Target "code": machine code with accesses of every kind (in, out, ins, outs, loads and stores of
 * 8 to 128 bits, locked and other changes of memory, repeated ones, unaligned ones and ones across
 * pages) on the v86 core, in real, 16-bit protected, 32-bit and paged mode. Whatever it is: the
 * process goes on, the guest comes to its end, and each byte of each access arrives at the Service
 * VM once: the vCPU's counts, the HSM's and the program's own agree.
 */

import { FuzzInput } from '../fuzz-input.js';
import type { FuzzTarget } from '../fuzz-target.js';
import { GUEST_MODES } from './guest-modes.js';
import { MachineBench } from './machine-bench.js';
import { MachineProgram } from './machine-program.js';

const MAX_INSTRUCTIONS = 120;

export const machineCode: FuzzTarget = {
  name: 'code',
  about: 'machine code on the v86 core, in each mode',
  maxBytes: 800,
  open: async () => {
    const bench = await MachineBench.make();
    return { run: (bytes) => run(new FuzzInput(bytes), bench), close: () => bench.close() };
  },
};

async function run(input: FuzzInput, bench: MachineBench): Promise<void> {
  const mode = input.pick(GUEST_MODES);
  const program = new MachineProgram(mode.is32Bit);
  for (let left = MAX_INSTRUCTIONS; left > 0 && !input.isEmpty; left--) program.add(input, mode);
  await bench.play(mode, program.end());
}
