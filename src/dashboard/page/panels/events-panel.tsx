/**
 * EventsPanel: the VM's events (device errors, late clients, resets, faults, the end) and this
 * page's refused commands, newest first.
 */

import type { JSX } from 'preact';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function EventsPanel(): JSX.Element {
  const { live } = useApp();
  const events = live.events.value;
  const words = strings().events;
  if (events.length === 0) return <p class="empty">{words.none}</p>;
  return (
    <ol class="events scroll" aria-label={words.title} tabIndex={0}>
      {[...events].reverse().map(({ key, time, event, text }) => (
        <li key={key}>
          <time class="mono dim">{time.toTimeString().slice(0, 8)}</time> <span class="tag">{event}</span> {text}
        </li>
      ))}
    </ol>
  );
}
