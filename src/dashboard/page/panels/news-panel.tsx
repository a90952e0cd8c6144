/**
 * What the VM told its operator: device errors, late clients, resets, faults, the end; and what it refused to this page.
 * Newest first.
 */

import type { JSX } from 'preact';
import { useSurroundings } from '../parts/context.js';
import { strings } from '../settings.js';

export function NewsPanel(): JSX.Element {
  const { live } = useSurroundings();
  const news = live.news.value;
  const words = strings().news;
  if (news.length === 0) return <p class="empty">{words.none}</p>;
  return (
    <ol class="news scroll" aria-label={words.title} tabIndex={0}>
      {[...news].reverse().map(({ key, time, event, text }) => (
        <li key={key}>
          <time class="mono dim">{time.toTimeString().slice(0, 8)}</time> <span class="tag">{event}</span> {text}
        </li>
      ))}
    </ol>
  );
}
