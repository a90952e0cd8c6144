/** How components get at the VM and the desk. */

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Desk } from '../desk.js';
import type { Live } from '../live/live.js';

export interface Surroundings {
  readonly live: Live;
  readonly desk: Desk;
}

export const SurroundingsContext = createContext<Surroundings | undefined>(undefined);

export function useSurroundings(): Surroundings {
  const surroundings = useContext(SurroundingsContext);
  if (surroundings === undefined) throw new Error('a component outside of SurroundingsContext');
  return surroundings;
}
