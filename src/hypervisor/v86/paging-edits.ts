/**
 * Edits of the core's page walk.
 *
 * With PAE paging, bit 7 of a page-directory entry makes it a 2-MiB page whatever CR4.PSE says
 * (Intel SDM, volume 3A, section 4.4.2). The core asks for CR4.PSE in both kinds of paging. Edited,
 * it asks for PSE or PAE, one bit more of the same constant.
 */

import type { UpcallError } from '../../io-request/upcall-error.js';
import { AND, constant, local } from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';

const PSE = 0x10;
const PAE = 0x20;
const IS_ZERO = 0x45;
/** The local of the core's page walk that holds CR4. */
const CR4 = 8;

export function editPaging(functions: WasmFunctions, mismatch: (what: string) => UpcallError): void {
  const test = (bits: number): number[] => [...local(CR4), ...constant(bits), AND, IS_ZERO];
  const count = functions.replaceEach(functions.index('do_page_walk'), test(PSE), () => test(PSE | PAE));
  if (count !== 1) throw mismatch(`its page walk tests CR4.PSE ${count} times, not once`);
}
