/** The page's beginning: settings, keys, the connection, and the first drawing. */

import { render } from 'preact';
import { App } from './app.js';
import { Desk } from './desk.js';
import { Live } from './live/live.js';
import { SurroundingsContext } from './parts/context.js';
import { applySettings } from './settings.js';
import { listenToKeys } from './shortcuts.js';
import './style/theme.css';
import './style/layout.css';
import './style/controls.css';
import './style/picture.css';
import './style/views.css';

// An address with another token, pasted over this page, is another page.
addEventListener('hashchange', () => location.reload());
const live = new Live();
const desk = new Desk();
applySettings();
listenToKeys();
desk.attend(live);
const place = document.getElementById('page');
if (place !== null)
  render(
    <SurroundingsContext.Provider value={{ live, desk }}>
      <App />
    </SurroundingsContext.Provider>,
    place,
  );
