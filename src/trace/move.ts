/**
 * Move: one change of a slot's state as plain data. MoveAssembler makes it from the entries of a
 * TraceRing.
 *
 * Called by: VmTrace and MoveSampler. Users of `vm.trace()` get moves, and print them with
 * `describeMove`.
 */

import {
  describe,
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
import type { RingEntry } from './ring-reader.js';
import { EntryWord, MoveBits, movedFrom, movedTo } from './trace-ring.js';

export type MoveState = keyof typeof IoRequestState | 'UNKNOWN';

export interface Move {
  /**
   * In ns since the VM's trace was created, of one clock for all threads. Never less than that of
   * the slot's move before.
   */
  readonly timeNs: number;
  /**
   * False for moves of a burst without a time of their own: `timeNs` is that of the slot's move
   * before, a lower bound.
   */
  readonly isTimed: boolean;
  /** Index of the slot, 0 to 15. */
  readonly vcpu: number;
  /** `UNKNOWN`: the page held a number that is not a state. */
  readonly from: MoveState;
  readonly to: MoveState;
  /**
   * The side that made the move. `vcpu`: the hypervisor. `hsm` also if it finished a request on
   * behalf of its client.
   */
  readonly by: 'vcpu' | 'hsm' | 'client';
  /**
   * Name of the request's client, from PROCESSING on. Undefined if no client has it, or if it was
   * lost.
   */
  readonly client: string | undefined;
  /**
   * As it was at PENDING. From COMPLETE on with the answered value. Undefined if the move to
   * PENDING was lost.
   */
  readonly request: IoRequest | undefined;
  /** The same for all moves of one request of a slot, and another one for the slot's next. */
  readonly requestNumber: number;
  /** The slot was in another state than `from`, and did not move. */
  readonly isRefused: boolean;
  /** Moves of this slot, right before this one, that the reader was too slow for. */
  readonly lost: number;
}

const STATE_NAMES: readonly MoveState[] = (Object.keys(IoRequestState) as (keyof typeof IoRequestState)[]).sort(
  (a, b) => IoRequestState[a] - IoRequestState[b],
);

/** `12.345678 ms vCPU 0 PENDING → PROCESSING, uart16550: write port 0x3f8/1 = 0x41` */
export function describeMove(move: Move): string {
  const time = `${(move.timeNs / 1e6).toFixed(6)}${move.isTimed ? '' : '+'} ms`;
  const client = move.client === undefined ? '' : `, ${move.client}`;
  const inPlace = move.by === 'hsm' && move.from === 'PROCESSING' ? ', finished by the HSM' : '';
  const request = move.request === undefined ? '' : `: ${describe(move.request)}`;
  const refused = move.isRefused ? ' (refused)' : '';
  const lost = move.lost === 0 ? '' : ` (${move.lost} lost before)`;
  return `${time} vCPU ${move.vcpu} ${move.from} → ${move.to}${client}${inPlace}${request}${refused}${lost}`;
}

interface OpenRequest {
  request: IoRequest | undefined;
  client: string | undefined;
  number: number;
}

export class MoveAssembler {
  readonly #clientName: (client: number) => string | undefined;
  readonly #originMs: number;
  readonly #open: readonly OpenRequest[] = Array.from({ length: SLOT_COUNT }, () => ({
    request: undefined,
    client: undefined,
    number: 0,
  }));

  /** `originMs`: the ring's time that becomes `timeNs` 0. */
  constructor(clientName: (client: number) => string | undefined, originMs: number) {
    this.#clientName = clientName;
    this.#originMs = originMs;
  }

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

function moverOf(from: number, to: number, isForced: boolean): Move['by'] {
  if (to === IoRequestState.PENDING || to === IoRequestState.FREE) return 'vcpu';
  return to === IoRequestState.COMPLETE && from === IoRequestState.PROCESSING && !isForced ? 'client' : 'hsm';
}

/** The request of an entry. It can be described whatever numbers the page held. */
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

function withValue(request: IoRequest, words: Int32Array): IoRequest {
  return request.type === 'mmio' || request.type === 'write-protect'
    ? { ...request, value: wideValue(request.size, words) }
    : { ...request, value: (words[EntryWord.valueLow] as number) >>> 0 };
}

function wideValue(size: number, words: Int32Array): number | bigint {
  const low = words[EntryWord.valueLow] as number;
  return size === 8 ? joinU64(low, words[EntryWord.valueHigh] as number) : low >>> 0;
}
