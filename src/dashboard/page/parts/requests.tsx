/** RequestText: direction, type, address and size of a request, and its value once it has one. */

import type { JSX } from 'preact';
import type { RequestRow } from '../../protocol.js';
import { strings } from '../settings.js';

export interface RequestTextProps {
  readonly request: RequestRow;
  /** A read that is not answered has no value: the slot holds that of an earlier access. */
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
