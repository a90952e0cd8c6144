/** A request in the page's words: direction, type, address and size, and the value where there is one already. */

import type { JSX } from 'preact';
import type { RequestRow } from '../../protocol.js';
import { strings } from '../settings.js';

export interface RequestTextProps {
  readonly request: RequestRow;
  /** What stands in the slot before a read is answered is what the access before has left. */
  readonly isAnswered: boolean;
}

export function RequestText({ request, isAnswered }: RequestTextProps): JSX.Element {
  const { access } = strings();
  return (
    <span class="request">
      <span class="direction">{request.direction === 'write' ? access.write : access.read}</span>{' '}
      <span class="dim">{access.types[request.type]}</span> <span class="mono">{request.address}</span>
      <span class="dim mono">/{request.size}</span>{' '}
      {(isAnswered || request.direction === 'write') && <span class="mono">= {request.value}</span>}
    </span>
  );
}
