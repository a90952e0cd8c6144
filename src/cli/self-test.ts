/**
 * selfTest: checks a hypervisor for `upcall doctor`. The smallest guest prints a greeting and a
 * byte that it reads from a device at port 0x500, then powers off. This exercises the complete
 * path: vCPU, page, upcall, worker, device, completion.
 *
 * Called by: commands/doctor.ts.
 */

import { guestImage } from '../vm/guest-library.js';
import { ports } from '../hsm/address-range.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { ServiceVm } from '../vm/service-vm.js';
import { standardPc } from '../vm/standard-pc.js';

/** Time limit of the guest. */
const SELF_TEST_MS = 20_000;
/** What the guest reads at port 0x500. */
const VALUE = 0x5a;
/** VALUE as the guest prints it. */
const EXPECTED = '5a';

/** Returns a summary in one line. Rejects with HYPERVISOR_UNAVAILABLE if the guest fails. */
export async function selfTest(hypervisor: Hypervisor): Promise<string> {
  const serviceVm = new ServiceVm(hypervisor);
  const startMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  try {
    const vm = await serviceVm.createUserVm({ name: 'self-test', memoryMiB: 1, image: guestImage('hello') });
    let printed = '';
    standardPc(vm, { console: { write: (bytes) => (printed += Buffer.from(bytes).toString('latin1')) } });
    vm.attach(ports(0x500, 1), { name: 'self-test', read: () => VALUE, write: () => undefined });
    await vm.start();
    timer = setTimeout(() => void vm.destroy(), SELF_TEST_MS);
    const end = await vm.ended;
    if (end.reason !== 'power-off' || !printed.includes(EXPECTED))
      throw new UpcallError('HYPERVISOR_UNAVAILABLE', `the self-test guest ended with: ${end.message}`, {
        remedy: 'Please report this with your Node.js version and processor',
      });
    return `a guest made ${vm.counters().requests} I/O requests and powered off, ${Math.round(performance.now() - startMs)} ms`;
  } finally {
    clearTimeout(timer);
    await serviceVm.close();
  }
}
