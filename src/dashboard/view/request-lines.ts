/**
 * requestLines: the moves (changes of a slot's state) of the timeline as one line for each request.
 *
 * Called by: TimelinePanel of the page, with a MoveList's moves.
 */

import type { StateName } from '../protocol.js';
import type { ListedMove } from './move-list.js';

export interface RequestLine {
  /** The key of its first listed move. */
  readonly key: number;
  readonly vcpu: number;
  /** Of its first listed move that has a time. Undefined: no move of it has one. */
  readonly timeNs: number | undefined;
  /**
   * From PENDING to FREE, or to COMPLETE while FREE is not listed or has no time. Undefined before
   * COMPLETE, and if PENDING is not listed or has no time.
   */
  readonly takenNs: number | undefined;
  /** The state that it has reached. FREE: the vCPU has taken the answer. */
  readonly state: StateName;
  readonly client: string | null;
  readonly request: ListedMove['request'];
  /** One of its moves was refused. */
  readonly isRefused: boolean;
  /** The HSM finished it, and not a client. */
  readonly isByHsm: boolean;
  /** Oldest first. */
  readonly moves: readonly ListedMove[];
}

/** In the order of their first moves. At most the last `most` requests. */
export function requestLines(moves: readonly ListedMove[], most = Infinity): RequestLine[] {
  const requests = new Map<string, ListedMove[]>();
  for (const move of moves) {
    const key = `${move.vcpu} ${move.requestNumber}`;
    const known = requests.get(key);
    if (known === undefined) requests.set(key, [move]);
    else known.push(move);
  }
  return [...requests.values()].slice(most === Infinity ? 0 : -most).map(lineOf);
}

function lineOf(moves: readonly ListedMove[]): RequestLine {
  const [first] = moves as readonly [ListedMove];
  const done = moves.filter(({ isRefused }) => !isRefused);
  const last = done.at(-1) ?? first;
  const timed = moves.filter(({ isTimed }) => isTimed);
  const start = timed[0];
  const end = timed.at(-1);
  const isAnswered = end?.to === 'COMPLETE' || end?.to === 'FREE';
  return {
    key: first.key,
    vcpu: first.vcpu,
    timeNs: start?.timeNs,
    takenNs: first.to === 'PENDING' && start === first && isAnswered ? end.timeNs - start.timeNs : undefined,
    state: last.to,
    client: last.client,
    request: last.request ?? first.request,
    isRefused: done.length < moves.length,
    isByHsm: moves.some(({ by, to }) => by === 'hsm' && to === 'COMPLETE'),
    moves,
  };
}
