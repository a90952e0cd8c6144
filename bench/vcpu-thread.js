// @ts-check
/** The entry of the vCPU threads that machine.js starts. */

import { loopProgram } from './loop-program.js';
import { product } from './product.js';
import { sleepAtOnce } from './sleep-at-once.js';

const { serveVcpu } = await product('hypervisor/vcpu-thread.js');
const { HALTED_FOREVER } = await product('hypervisor/vcpu-loop.js');

await serveVcpu(async (context) => {
  if (/** @type {import('./loop-program.js').Loop} */ (context.program).sleepsAtOnce === true) await sleepAtOnce();
  return { program: loopProgram(context, HALTED_FOREVER) };
});
