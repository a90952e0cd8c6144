/**
 * The rows of the timeline: a move (a change of a slot's state), and a request, which a click opens
 * to show its moves. For users of the keyboard, the timeline's choice between requests and moves
 * replaces the click.
 */

import type { JSX } from 'preact';
import type { StateName } from '../../protocol.js';
import { shortTime, traceTime } from '../../view/amounts.js';
import type { ListedMove } from '../../view/move-list.js';
import type { RequestLine } from '../../view/request-lines.js';
import { RequestText } from '../parts/requests.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';

/** Height of a row in rem, as in views.css. */
export const ROW_REM = 1.5;

interface RequestRowProps {
  readonly line: RequestLine;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

export function RequestRow({ line, isOpen, onToggle }: RequestRowProps): JSX.Element {
  const { timeline: words } = strings();
  const { timeNs, takenNs, vcpu, state, client, request, isRefused, isByHsm, moves } = line;
  return (
    <div role="listitem" class={isOpen ? 'opened' : undefined}>
      <div class={`move request-line${isOpen ? ' first' : ''}`} title={words.open} onClick={onToggle}>
        <span class="number mono">{timeNs === undefined ? '' : traceTime(timeNs)}</span>
        <span class="number mono dim">{takenNs === undefined ? '' : shortTime(takenNs)}</span>
        <span class="number mono">{vcpu}</span>
        <StateCell state={state} isRefused={isRefused} isByHsm={isByHsm} />
        <span class="client-of">{client ?? ''}</span>
        {request === null ? (
          <span />
        ) : (
          <RequestText request={request} isAnswered={state === 'COMPLETE' || state === 'FREE'} />
        )}
      </div>
      {isOpen && (
        <div role="list" aria-label={words.moves}>
          {[...moves].reverse().map((move) => (
            <MoveLine key={move.key} move={move} />
          ))}
        </div>
      )}
    </div>
  );
}

export function MoveLine({ move }: { readonly move: ListedMove }): JSX.Element {
  return (
    <div class={`move${move.to === 'PENDING' ? ' first' : ''}`} role="listitem">
      <span class="number mono">{move.isTimed ? traceTime(move.timeNs) : ''}</span>
      <span class="number mono dim">{move.sinceNs === undefined ? '' : shortTime(move.sinceNs)}</span>
      <span class="number mono">{move.vcpu}</span>
      <StateCell state={move.to} isRefused={move.isRefused} isByHsm={move.by === 'hsm' && move.to === 'COMPLETE'} />
      <span class="client-of">{move.client ?? ''}</span>
      {move.request === null ? (
        <span />
      ) : (
        <RequestText request={move.request} isAnswered={move.to === 'COMPLETE' || move.to === 'FREE'} />
      )}
    </div>
  );
}

interface StateCellProps {
  readonly state: StateName;
  readonly isRefused: boolean;
  readonly isByHsm: boolean;
}

function StateCell({ state, isRefused, isByHsm }: StateCellProps): JSX.Element {
  const { timeline: words } = strings();
  return (
    <span class="move-to">
      <span class={`state state-${state.toLowerCase()}`}>
        <StateMark state={state} /> {state}
      </span>
      {isRefused && <em class="alarm">{words.refused}</em>}
      {isByHsm && <em class="dim">{words.byHsm}</em>}
    </span>
  );
}
