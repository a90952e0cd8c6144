/**
 * TimelinePanel: the latest requests, newest first, one line each, or all of their moves (changes
 * of a slot's state). It shows as many as fit. While it is paused, all moves of the MoveList can be
 * scrolled.
 */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { wholeCount } from '../../view/amounts.js';
import { requestLines } from '../../view/request-lines.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';
import { TimelineFilter } from './timeline-filter.js';
import { MoveLine, RequestRow, ROW_REM } from './timeline-rows.js';

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
  const showsMoves = ui.showsMoves.value;
  /** The keys of the requests whose moves are shown. */
  const opened = useSignal<ReadonlySet<number>>(new Set());
  const openOrClose = (key: number): void => {
    const next = new Set(opened.value);
    if (!next.delete(key)) next.add(key);
    opened.value = next;
  };
  const most = isPaused ? Infinity : rowsThatFit.value;
  const rows = showsMoves
    ? live.moves.value.slice(-most).map((move) => <MoveLine key={move.key} move={move} />)
    : requestLines(live.moves.value, most).map((line) => (
        <RequestRow
          key={line.key}
          line={line}
          isOpen={opened.value.has(line.key)}
          onToggle={() => openOrClose(line.key)}
        />
      ));
  return (
    <div class="table-panel">
      <div class="toolbar">
        <button type="button" class="toggle" aria-pressed={isPaused} onClick={toggle}>
          {isPaused ? words.resume : words.pause}
        </button>
        <div class="choice" role="group" aria-label={words.show}>
          {[false, true].map((one) => (
            <button
              key={`${one}`}
              type="button"
              aria-pressed={showsMoves === one}
              onClick={() => (ui.showsMoves.value = one)}
            >
              {one ? words.moves : words.requests}
            </button>
          ))}
        </div>
        <TimelineFilter />
        {live.missedMoves.value > 0 && (
          <span class="dim missed" title={words.missedWhy}>
            {words.missed(wholeCount(live.missedMoves.value))}
          </span>
        )}
      </div>
      <div class="moves-head move" aria-hidden="true">
        <span class="number">{words.time}</span>
        <span class="number">{showsMoves ? words.since : words.taken}</span>
        <span>vCPU</span>
        <span>{words.move}</span>
        <span>{words.client}</span>
        <span>{words.request}</span>
      </div>
      <div class={`moves${isPaused ? ' paused' : ''}`} ref={list} role="list" aria-label={words.title} tabIndex={0}>
        {rows.length === 0 ? <p class="empty">{words.none}</p> : rows.reverse()}
      </div>
    </div>
  );
}
