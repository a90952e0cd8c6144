/**
 * The page's entry point: sets up settings, shortcuts and the state, and renders App, which opens
 * the connection.
 */

import { render } from 'preact';
import { App } from './app.js';
import { UiState } from './ui-state.js';
import { Live } from './live/live.js';
import { AppContext } from './parts/app-context.js';
import { applySettings } from './settings.js';
import { listenToKeys } from './shortcuts.js';
import './style/theme.css';
import './style/layout.css';
import './style/controls.css';
import './style/diagram.css';
import './style/views.css';

// An address that is pasted over this page has another token: start again with that one.
addEventListener('hashchange', () => location.reload());
const live = new Live();
const ui = new UiState();
applySettings();
listenToKeys();
ui.connect(live);
const place = document.getElementById('page');
if (place !== null)
  render(
    <AppContext.Provider value={{ live, ui }}>
      <App />
    </AppContext.Provider>,
    place,
  );
