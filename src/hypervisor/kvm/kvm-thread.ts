/** The thread of a vCPU on KVM. Started by: ThreadedVm, as KvmHypervisor's `entry`. */

import { GuestMemory } from '../guest-memory.js';
import { serveVcpu } from '../vcpu-thread.js';
import { Kernel } from './kernel.js';
import { KvmVcpu, type KvmProgram } from './kvm-vcpu.js';

await serveVcpu(async ({ vcpu, program, handler }) => {
  const kernel = await Kernel.open();
  const given = program as KvmProgram;
  return { program: new KvmVcpu(vcpu, kernel, given, handler, new GuestMemory(given.memory)) };
});
