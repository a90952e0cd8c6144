// @ts-check
/** The entry of the vCPU threads that machine.js starts. */

import { burstProgram } from './burst-program.js';
import { loopProgram } from './loop-program.js';
import { product } from './product.js';
import { sleepAtOnce } from './sleep-at-once.js';

const { serveVcpu } = await product('hypervisor/vcpu-thread.js');
const { HALTED_FOREVER } = await product('hypervisor/vcpu-loop.js');

await serveVcpu(async (context) => {
  const program = /** @type {import('./loop-program.js').Loop | import('./burst-program.js').Bursts} */ (
    context.program
  );
  if (program.sleepsAtOnce === true) await sleepAtOnce();
  return { program: ('plan' in program ? burstProgram : loopProgram)(context, HALTED_FOREVER) };
});
