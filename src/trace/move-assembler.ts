/**
 * MoveAssembler: makes moves (changes of a slot's state, move.ts) from the entries of a TraceRing,
 * each from one. An entry has only what is new with
 * its move, so the assembler keeps the request and the client of each slot's last entry.
 *
 * Called by: VmTrace and MoveSampler, with the entries of RingReader, those of each slot in order.
 */

import {
  directionName,
  joinU64,
  joinWords,
  typeName,
  type AccessSize,
  type IoRequest,
  type MmioAccessSize,
} from '../io-request/io-request.js';
import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import type { Move, MoveState } from './move.js';
import type { RingEntry } from './ring-reader.js';
import { EntryWord, MoveBits, movedFrom, movedTo } from './trace-ring.js';

/** The names of the states, by their numbers. */
const STATE_NAMES: MoveState[] = [];
for (const name of Object.keys(IoRequestState) as (keyof typeof IoRequestState)[])
  STATE_NAMES[IoRequestState[name]] = name;

/** What the moves of a slot's current request have in common so far. */
interface OpenRequest {
  request: IoRequest | undefined;
  client: string | undefined;
  /** The number of the request's first entry that was read: `Move.requestNumber`. */
  number: number;
}

export class MoveAssembler {
  readonly #clientName: (client: number) => string | undefined;
  readonly #originMs: number;
  /** By slot. */
  readonly #open: readonly OpenRequest[] = Array.from({ length: SLOT_COUNT }, () => ({
    request: undefined,
    client: undefined,
    number: 0,
  }));

  /**
   * `clientName`: the name for the number of a client in an entry. `originMs`: the time of the ring
   * that becomes `timeNs` 0.
   */
  constructor(clientName: (client: number) => string | undefined, originMs: number) {
    this.#clientName = clientName;
    this.#originMs = originMs;
  }

  /** The move of an entry, before which `lost` entries of the slot were lost. */
  assemble({ vcpu, number, timeMs, isTimed, words }: RingEntry, lost: number): Move {
    const word = words[EntryWord.move] as number;
    const to = movedTo(word);
    const isRefused = (word & MoveBits.REFUSED) !== 0;
    const open = this.#open[vcpu] as OpenRequest;
    if (to === IoRequestState.PENDING || lost > 0) {
      open.request = undefined;
      open.client = undefined;
      open.number = number;
    }
    if ((word & MoveBits.HAS_REQUEST) !== 0) open.request = requestOf(words);
    else if ((word & MoveBits.HAS_VALUE) !== 0 && open.request !== undefined)
      open.request = withValue(open.request, words);
    if (to === IoRequestState.PROCESSING) open.client = this.#clientName(words[EntryWord.client] as number);
    const from = movedFrom(word);
    return {
      timeNs: Math.round((timeMs - this.#originMs) * 1e6),
      isTimed,
      vcpu,
      from: STATE_NAMES[from] ?? 'UNKNOWN',
      to: STATE_NAMES[to] ?? 'UNKNOWN',
      by: moverOf(from, to, (word & MoveBits.FORCED) !== 0),
      client: open.client,
      request: open.request,
      requestNumber: open.number,
      isRefused,
      lost,
    };
  }
}

/** The side that makes a move between these states. */
function moverOf(from: number, to: number, isForced: boolean): Move['by'] {
  if (to === IoRequestState.PENDING || to === IoRequestState.FREE) return 'vcpu';
  return to === IoRequestState.COMPLETE && from === IoRequestState.PROCESSING && !isForced ? 'client' : 'hsm';
}

/** The request of an entry. The page may have held any numbers: none of them makes this throw. */
function requestOf(words: Int32Array): IoRequest {
  const at = (index: number): number => words[index] as number;
  const move = at(EntryWord.move);
  const type = (move >> MoveBits.TYPE_SHIFT) & MoveBits.BYTE_MASK;
  const size = (move >> MoveBits.SIZE_SHIFT) & MoveBits.BYTE_MASK;
  const direction = directionName((move & MoveBits.IS_WRITE) === 0 ? Direction.READ : Direction.WRITE);
  const value = at(EntryWord.valueLow) >>> 0;
  if (type === IoRequestType.PCI) {
    const place = at(EntryWord.addressLow);
    return {
      type: 'pci',
      direction,
      bus: (place >> 16) & MoveBits.BYTE_MASK,
      device: (place >> 8) & MoveBits.BYTE_MASK,
      function: place & MoveBits.BYTE_MASK,
      register: at(EntryWord.addressHigh),
      size: size as AccessSize,
      value,
    };
  }
  const address = joinWords(at(EntryWord.addressLow), at(EntryWord.addressHigh));
  if (type === IoRequestType.PORT) return { type: 'port', direction, address, size: size as AccessSize, value };
  return {
    type: typeName(type) === 'write-protect' ? 'write-protect' : 'mmio',
    direction,
    address,
    size: size as MmioAccessSize,
    value: wideValue(size, words),
  };
}

/** The request with the value of another entry. */
function withValue(request: IoRequest, words: Int32Array): IoRequest {
  return request.type === 'mmio' || request.type === 'write-protect'
    ? { ...request, value: wideValue(request.size, words) }
    : { ...request, value: (words[EntryWord.valueLow] as number) >>> 0 };
}

/** The value of an access of `size` bytes: a bigint if that is 8. */
function wideValue(size: number, words: Int32Array): number | bigint {
  const low = words[EntryWord.valueLow] as number;
  return size === 8 ? joinU64(low, words[EntryWord.valueHigh] as number) : low >>> 0;
}
