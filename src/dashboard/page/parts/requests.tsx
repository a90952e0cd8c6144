/** A request in the page's words: direction, type, address and size, value. */

import type { JSX } from 'preact';
import type { RequestRow } from '../../protocol.js';
import { strings } from '../settings.js';

export function RequestText({ request }: { readonly request: RequestRow }): JSX.Element {
  const { access } = strings();
  return (
    <span class="request">
      <span class="direction">{request.direction === 'write' ? access.write : access.read}</span>{' '}
      <span class="dim">{access.types[request.type]}</span> <span class="mono">{request.address}</span>
      <span class="dim mono">/{request.size}</span> <span class="mono">= {request.value}</span>
    </span>
  );
}
