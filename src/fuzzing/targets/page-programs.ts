/**
 * Target "page": a hostile thread overwrites a VM's page as fast as it can. Meanwhile vCPUs make
 * requests, clients in this and other threads complete them, and the operator resets the VM and
 * removes and adds clients.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: nothing throws or hangs. No client receives a request outside its ranges. Another VM
 * of the same Service VM is not affected. After the writer stops, a reset VM works normally.
 */

import { SLOT_BYTES, SLOT_COUNT, SLOT_OFFSET } from '../../io-request/layout.js';
import { FuzzInput } from '../fuzz-input.js';
import type { FuzzTarget } from '../fuzz-target.js';
import { PageArena, type Act } from './page-arena.js';
import type { PageWrite } from './page-writer-thread.js';

/** Slots that the VM's vCPUs use: three that play and one that waits (page-arena.ts). */
const USED_SLOTS = 4;
const MAX_ACTS = 24;
const MAX_WRITES = 200;
const STATE = SLOT_OFFSET.state >> 2;
const WORDS_PER_SLOT = SLOT_BYTES >> 2;
/**
 * Indices of the words of a slot that have a meaning (io-request/layout.ts), the state most often.
 */
const FIELDS = [0, 1, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 33, STATE, STATE, STATE, STATE, STATE];
/** Types, directions, sizes and states, the ports of PageArena's devices, PCI ports, and edges. */
const VALUES = [
  0, 1, 2, 3, 4, 8, 0x500, 0x501, 0x600, 0x700, 0xcf8, 0xcfc, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff, 0xffff_fff8,
];
/**
 * Described at `Act`. Waiting is likely, so that the vCPUs make progress between the other acts.
 */
const ACTS: readonly Act[] = ['wait', 'wait', 'reset', 'pause', 'replace', 'range', 'detach', 'thread', 'inject'];

export const pagePrograms: FuzzTarget = {
  name: 'page',
  about: 'a thread that writes over a page in use',
  maxBytes: 600,
  open: async () => {
    const arena = await PageArena.create();
    return { run: (bytes) => run(new FuzzInput(bytes), arena), close: () => arena.close() };
  },
};

async function run(input: FuzzInput, arena: PageArena): Promise<void> {
  const acts: Act[] = Array.from({ length: 1 + input.below(MAX_ACTS) }, () => input.pick(ACTS));
  const writes: PageWrite[] = [];
  while (!input.isEmpty && writes.length < MAX_WRITES) {
    const slot = input.below(8) === 7 ? input.below(SLOT_COUNT) : input.below(USED_SLOTS);
    const word = input.below(16) === 15 ? input.below(WORDS_PER_SLOT) : input.pick(FIELDS);
    writes.push({
      index: slot * WORDS_PER_SLOT + word,
      value: input.word(VALUES),
      pauseRounds: input.below(4) === 0 ? input.u8() : 0,
    });
  }
  await arena.play(acts, writes);
}
