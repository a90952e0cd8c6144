/**
 * App context: passes two objects to all components: the VM's live data (Live) and the page's own
 * state (UiState).
 */

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Live } from '../live/live.js';
import type { UiState } from '../ui-state.js';

export interface App {
  readonly live: Live;
  readonly ui: UiState;
}

export const AppContext = createContext<App | undefined>(undefined);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error('a component outside of AppContext');
  return app;
}
