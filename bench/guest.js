// @ts-check
/**
 * Runs a guest of the embedded core until it ends, with its devices behind the page or called
 * directly.
 */

import { runDirectly } from './direct-machine.js';
import { product } from './product.js';

/** @typedef {'page' | 'direct'} How `direct`: see direct-machine.js */

/**
 * @param {How} how
 * @param {import('../dist/index.js').GuestImageOptions} image
 * @param {number} memoryMiB
 * @param {(text: string) => void} [see] called with all console text so far, at each output
 * @returns {Promise<string>} the console's text
 */
export async function runGuest(how, image, memoryMiB, see) {
  let text = '';
  const console = {
    write: (/** @type {Uint8Array} */ bytes) => {
      text += Buffer.from(bytes).toString('latin1');
      see?.(text);
    },
  };
  if (how === 'direct') {
    await runDirectly({ image, memoryMiB, console });
    return text;
  }
  const { ServiceVm, standardPc, V86Hypervisor } = await product('index.js');
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.createUserVm({ image, memoryMiB });
  standardPc(vm, { console });
  await vm.start();
  await vm.ended;
  await serviceVm.close();
  return text;
}
