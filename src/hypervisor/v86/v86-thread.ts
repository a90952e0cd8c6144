/** The thread of a vCPU on the v86 core. */

import { serveVcpu } from '../vcpu-thread.js';
import { registerControllers } from './controller-handlers.js';
import { Core } from './core.js';
import type { V86Program } from './v86-hypervisor.js';

await serveVcpu(({ program, handler, handlers, shared }) => {
  registerControllers(handlers);
  const { module, memoryBytes, translate } = program as V86Program;
  const core = new Core({
    module: module as WebAssembly.Module,
    memoryBytes,
    handler,
    lines: shared.lines,
    translate,
  });
  return { program: core, memory: core.memory };
});
