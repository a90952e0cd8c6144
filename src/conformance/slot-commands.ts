/**
 * Commands of conformance scripts that act on slots: the hypervisor's (`put`, `free`), ACRN
 * userspace's (`value`, `complete`, `clear`), and those that only read. conformance/README.md
 * describes them.
 *
 * Called by: HsmScript (hsm-script.ts) for each line.
 */

import { Errno } from '../io-request/errno.js';
import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import type { ScriptExtra } from './script-answer.js';
import type { ScriptWords } from './script-words.js';
import type { ScriptVm } from './script-world.js';
import { dumpSlot, putRequest, putValue, slotHex } from './scripted-slot.js';

const MAX_U32 = 0xffff_ffff;
const TYPES: Readonly<Record<string, number>> = {
  pio: IoRequestType.PORT,
  mmio: IoRequestType.MMIO,
  pcicfg: IoRequestType.PCI,
};

/**
 * Returns the result of the command, 0 or −errno. Undefined if `op` is not one of these commands.
 */
export function slotCommand(
  op: string,
  words: ScriptWords,
  vm: ScriptVm,
  extra: ScriptExtra,
): number | Promise<number> | undefined {
  const { requests, buffer } = vm;
  switch (op) {
    case 'put':
      return put(words, vm);
    case 'value':
      putValue(buffer, slotIndex(words), words.u64('a value'));
      words.end();
      return 0;
    // NOTIFY_REQUEST_FINISH by the default client.
    case 'complete': {
      const vcpu = words.integer('a vCPU', 0, MAX_U32);
      words.end();
      // The driver passes its u32 on as a u16.
      return requests.finishDefault(vcpu & 0xffff);
    }
    // As the vCPU takes its result.
    case 'free': {
      const slot = buffer.slot(slotIndex(words));
      words.end();
      return slot.release() ? 0 : Errno.EINVAL;
    }
    case 'clear':
      words.end();
      return requests.clear().then(() => 0);
    // Only the driver's flag, without what CLEAR does.
    case 'clearing':
      requests.isClearing = words.integer('the flag', 0, 1) === 1;
      words.end();
      return 0;
    case 'dump':
      extra.slots = dump(words, vm);
      return 0;
    case 'hex':
      extra.hex = slotHex(buffer, slotIndex(words));
      words.end();
      return 0;
    default:
      return undefined;
  }
}

function put(words: ScriptWords, { buffer }: ScriptVm): number {
  const index = slotIndex(words);
  const typeWord = words.word('a type');
  const type = TYPES[typeWord] ?? (/^\d+$/.test(typeWord) ? Number(typeWord) | 0 : undefined);
  if (type === undefined) throw words.error(`"${typeWord}" is not pio, mmio, pcicfg or a number`);
  const isWrite = words.oneOf('the direction', ['r', 'w']) === 'w';
  const address = words.u64('an address');
  const size = words.u64('a size');
  const value = words.u64('a value');
  const polling = words.hasMore && words.integer('the polling flag', 0, MAX_U32) !== 0;
  words.end();
  const direction = isWrite ? Direction.WRITE : Direction.READ;
  return putRequest(buffer, index, { type, direction, address, size, value, polling }) ? 0 : Errno.EINVAL;
}

function dump(words: ScriptWords, { vcpus, buffer }: ScriptVm): object[] {
  const only = words.hasMore ? slotIndex(words) : undefined;
  words.end();
  if (only !== undefined) return [dumpSlot(buffer, only)];
  return Array.from({ length: vcpus }, (_, index) => dumpSlot(buffer, index));
}

function slotIndex(words: ScriptWords): number {
  return words.integer('a slot', 0, SLOT_COUNT - 1);
}
