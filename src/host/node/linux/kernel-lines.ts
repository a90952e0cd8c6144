/**
 * kernelLines: the interrupt lines of a VM whose controllers are the kernel's. A call takes the
 * kernel a microsecond, and needs no vCPU.
 *
 * Called by: node-host.ts, as `Host.kernelLines`.
 *
 * Source: the kernel's "The Definitive KVM API Documentation", KVM_IRQ_LINE.
 */

import type { KernelLines } from '../../kvm-calls.js';
import { errnoName } from './errno-name.js';
import { requireLibc } from './libc.js';

const KVM_IRQ_LINE = 0x4008_ae61;

/** `vm`: the descriptor of a VM with controllers. Throws if there is no koffi. */
export function kernelLines(vm: number): KernelLines {
  const libc = requireLibc();
  const ioctl = libc.func('int ioctl(int fd, ulong request, _Inout_ uint8_t *argument)');
  return {
    set: (line, high) => {
      // struct kvm_irq_level: the line, then its level.
      const level = new Uint32Array([line, high ? 1 : 0]);
      if (Number(ioctl(vm, KVM_IRQ_LINE, new Uint8Array(level.buffer))) < 0)
        throw new Error(`KVM_IRQ_LINE of line ${line} failed: ${errnoName(libc.errno())}`);
    },
  };
}
