/**
 * TimelinePanel: the slots' latest moves (changes of state), newest first. It shows as many as fit.
 * While it is paused, all moves of the MoveList can be scrolled.
 */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { StateName } from '../../protocol.js';
import { shortTime, traceTime, wholeCount } from '../../view/amounts.js';
import type { ListedMove } from '../../view/move-list.js';
import { useApp } from '../parts/app-context.js';
import { RequestText } from '../parts/requests.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';
import { TimelineFilter } from './timeline-filter.js';

/** Limit of the rows while it is not paused: more would be replaced before they are seen. */
const MAX_RUNNING_ROWS = 80;

export function TimelinePanel(): JSX.Element {
  const { live, ui } = useApp();
  const { timeline: words } = strings();
  const list = useRef<HTMLDivElement>(null);
  // A guess, until the height is known.
  const rowsThatFit = useSignal(20);
  const isPaused = ui.isPaused.value;
  const toggle = (): void => {
    ui.isPaused.value = !ui.isPaused.value;
  };
  useEffect(() => {
    const element = list.current;
    if (element === null) return undefined;
    const sizes = new ResizeObserver(() => {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      rowsThatFit.value = Math.min(MAX_RUNNING_ROWS, Math.floor(element.clientHeight / (rem * ROW_REM)));
    });
    sizes.observe(element);
    return () => sizes.disconnect();
  }, []);
  const moves = isPaused ? live.moves.value : live.moves.value.slice(-rowsThatFit.value);
  return (
    <div class="table-panel">
      <div class="toolbar">
        <button type="button" class="toggle" aria-pressed={isPaused} onClick={toggle}>
          {isPaused ? words.resume : words.pause}
        </button>
        <TimelineFilter />
        {live.missedMoves.value > 0 && (
          <span class="dim missed" title={words.missedWhy}>
            {words.missed(wholeCount(live.missedMoves.value))}
          </span>
        )}
      </div>
      <div class="moves-head move" aria-hidden="true">
        <span class="number">{words.time}</span>
        <span class="number">{words.since}</span>
        <span>vCPU</span>
        <span>{words.move}</span>
        <span>{words.client}</span>
        <span>{words.request}</span>
      </div>
      <div class={`moves${isPaused ? ' paused' : ''}`} ref={list} role="list" aria-label={words.title} tabIndex={0}>
        {moves.length === 0 ? <p class="empty">{words.none}</p> : newestFirst(moves)}
      </div>
    </div>
  );
}

/** Height of a row in rem, as in views.css. */
const ROW_REM = 1.5;

function newestFirst(moves: readonly ListedMove[]): JSX.Element[] {
  const rows: JSX.Element[] = [];
  for (let at = moves.length - 1; at >= 0; at--) {
    const move = moves[at];
    if (move !== undefined) rows.push(<MoveLine key={move.key} move={move} />);
  }
  return rows;
}

function MoveLine({ move }: { readonly move: ListedMove }): JSX.Element {
  const { timeline: words } = strings();
  return (
    <div class={`move${move.to === 'PENDING' ? ' first' : ''}`} role="listitem">
      <span class="number mono">{move.isTimed ? traceTime(move.timeNs) : ''}</span>
      <span class="number mono dim">{move.sinceNs === undefined ? '' : shortTime(move.sinceNs)}</span>
      <span class="number mono">{move.vcpu}</span>
      <span class="move-to">
        <State name={move.to} />
        {move.isRefused && <em class="alarm">{words.refused}</em>}
        {move.by === 'hsm' && move.to === 'COMPLETE' && <em class="dim">{words.byHsm}</em>}
      </span>
      <span class="client-of">{move.client ?? ''}</span>
      {move.request === null ? (
        <span />
      ) : (
        <RequestText request={move.request} isAnswered={move.to === 'COMPLETE' || move.to === 'FREE'} />
      )}
    </div>
  );
}

function State({ name }: { readonly name: StateName }): JSX.Element {
  return (
    <span class={`state state-${name.toLowerCase()}`}>
      <StateMark state={name} /> {name}
    </span>
  );
}
