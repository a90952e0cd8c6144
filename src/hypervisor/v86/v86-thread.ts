/** The thread of a vCPU on the v86 core. Started by: ThreadedVm, as V86Hypervisor's `entry`. */

import { serveVcpu } from '../vcpu-thread.js';
import { Core } from './core.js';
import type { V86Program } from './v86-hypervisor.js';

await serveVcpu(({ vcpu, program, handler, handlers, shared }) => {
  const { module, memoryBytes, translate, restored } = program as V86Program;
  shared.lines.observeEnds();
  const core: Core = new Core({
    module: module as WebAssembly.Module,
    memoryBytes,
    handler,
    handlers,
    lines: {
      // Messages are polled where lines are, after each trap, so that they do not wait for the end
      // of the slice.
      get relaxedChanged() {
        return shared.lines.relaxedChanged || shared.msis.anyRelaxed(vcpu);
      },
      deliver: (controller) => {
        shared.lines.deliver(controller);
        if (shared.msis.anyRelaxed(vcpu)) shared.msis.take(vcpu, (kind, vector) => core.message(kind, vector));
      },
      resync: () => shared.lines.resync(),
      restorePins: (levels) => shared.lines.restorePins(levels),
      end: (line) => shared.lines.end(line),
    },
    translate,
    protection: { pages: shared.protectedPages, handler },
  });
  if (restored !== undefined) core.restore(restored);
  return { program: core, memory: core.memory };
});
