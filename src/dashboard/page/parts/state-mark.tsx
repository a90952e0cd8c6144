/**
 * StateMark: a state as a shape, readable without colour: ○ FREE, ▲ PENDING, ■ PROCESSING, ✓
 * COMPLETE, ✕ UNKNOWN.
 */

import type { JSX } from 'preact';
import type { StateName } from '../../protocol.js';

export function StateMark({ state }: { readonly state: StateName }): JSX.Element {
  return (
    <svg class={`mark mark-${state.toLowerCase()}`} viewBox="0 0 12 12" aria-hidden="true">
      {shape(state)}
    </svg>
  );
}

function shape(state: StateName): JSX.Element {
  switch (state) {
    case 'FREE':
      return <circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" stroke-width="1.5" />;
    case 'PENDING':
      return <path d="M6 1.2 11.2 10.8H.8Z" fill="currentColor" />;
    case 'PROCESSING':
      return <rect x="1.5" y="1.5" width="9" height="9" fill="currentColor" />;
    case 'COMPLETE':
      return <path d="m1.4 6.4 3.1 3.4 6-7.4" fill="none" stroke="currentColor" stroke-width="2.2" />;
    case 'UNKNOWN':
      return <path d="m2 2 8 8M10 2l-8 8" fill="none" stroke="currentColor" stroke-width="2" />;
  }
}
