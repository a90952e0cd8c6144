// @ts-check
/**
 * Exits of a guest on KVM that only writes to a port: through the page to a trivial device, beside
 * a loop in C that does nothing with the exit (reference/kvm-exits.c), and beside writes that the
 * kernel takes itself (ioeventfd).
 */

import { product } from '../product.js';

export const title = 'Exits of KVM';

const VCPUS = [1, 2, 4];
/** With one vCPU and a free core, a request takes at most 1.5 exits of the loop in C. */
const MIN_RATE = 0.67;

/** @type {import('../rows.js').Row[]} */
export const rows = VCPUS.flatMap((vcpus) => {
  const name = `KVM, ${vcpus} ${vcpus === 1 ? 'vCPU' : 'vCPUs'}`;
  const c = (/** @type {string} */ mode) => ({ file: 'reference/kvm-exits.c', args: [mode, String(vcpus)] });
  return [
    {
      name: `${name}: exits through the page`,
      unit: '/s',
      value: 'perSecond',
      process: { file: 'cases/kvm.js', args: [String(vcpus)], cores: 2 },
      compare: [
        { to: `${name}: exits in C`, ...(vcpus === 1 ? { min: MIN_RATE } : {}) },
        { to: `${name}: ioeventfd in C` },
      ],
    },
    { name: `${name}: exits in C`, unit: '/s', value: 'perSecond', process: c('exits') },
    { name: `${name}: ioeventfd in C`, unit: '/s', value: 'perSecond', process: c('ioeventfd') },
  ];
});

const WARM_UP_MS = 1500;
const MEASURE_MS = 1500;
const PORT = 0x500;
const CODE = 0x7c00;
/** mov dx, 0x500; out dx, al; jmp to the out */
const LOOP = Uint8Array.of(0xba, 0x00, 0x05, 0xee, 0xeb, 0xfd);

/** @param {string} vcpusText */
export async function measure(vcpusText) {
  const vcpus = Number(vcpusText);
  const { KvmHypervisor, ServiceVm, ports } = await product('index.js');
  const serviceVm = new ServiceVm(new KvmHypervisor());
  const vm = await serviceVm.createUserVm({ vcpus, memoryMiB: 1, image: { image: LOOP, kind: 'real' } });
  let writes = 0;
  vm.attach(ports(PORT, 1), { name: 'counter', read: () => 0, write: () => void writes++ });
  // The image starts vCPU 0. The others start at the same code.
  const registers = { mode: /** @type {const} */ ('real'), ip: CODE, cs: { selector: 0 }, ds: { selector: 0 } };
  for (let vcpu = 1; vcpu < vcpus; vcpu++) vm.hypercalls.setVcpuRegs(vcpu, registers);
  await vm.start();
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const [startMs, before] = [performance.now(), writes];
  await new Promise((resolve) => setTimeout(resolve, MEASURE_MS));
  const perSecond = ((writes - before) * 1000) / (performance.now() - startMs);
  await serviceVm.close();
  return { perSecond };
}
