/** The thread of a vCPU on KVM. Started by: ThreadedVm, as KvmHypervisor's `entry`. */

import { GuestMemory } from '../guest-memory.js';
import { serveVcpu } from '../vcpu-thread.js';
import { Kernel } from './kernel.js';
import type { KvmVcpuHandle } from './kvm-machine.js';
import { KvmVcpu } from './kvm-vcpu.js';

await serveVcpu(async ({ vcpu, program, handler }) => {
  const kernel = await Kernel.open();
  const handle = program as KvmVcpuHandle;
  return { program: new KvmVcpu(vcpu, kernel, handle, handler, new GuestMemory(handle.memory)) };
});
