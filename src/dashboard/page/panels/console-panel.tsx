/**
 * ConsolePanel: the guest's serial console, in a terminal (xterm.js). Ctrl-] moves the focus out of
 * it. All other keys go to the guest.
 */

import { effect, useComputed } from '@preact/signals';
import { Terminal } from '@xterm/xterm';
import { FitAddon } from '@xterm/addon-fit';
import '@xterm/xterm/css/xterm.css';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { withAdoptedStyles } from '../parts/adopted-styles.js';
import { useApp } from '../parts/app-context.js';
import { ThrottledWrites } from '../parts/throttled-writes.js';
import { terminalColours } from '../parts/terminal-colours.js';
import { shownTheme, strings } from '../settings.js';
import { onCommand } from '../shortcuts.js';

/** How many lines can be scrolled back. */
const SCROLLBACK_LINES = 5000;
const SCROLLBAR_PX = 9;

export function ConsolePanel(): JSX.Element {
  const { live } = useApp();
  const place = useRef<HTMLDivElement>(null);
  const title = useRef<HTMLHeadingElement>(null);
  const { console: words } = strings();
  const hasConsole = useComputed(() => live.welcome.value?.vm.hasConsole ?? true);

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const terminal = new Terminal({
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
      fontSize: fontSize(),
      scrollback: SCROLLBACK_LINES,
      cursorBlink: false,
      screenReaderMode: false,
      overviewRuler: { width: SCROLLBAR_PX },
    });
    const leave = (): void => {
      // The next Tab must not enter the console again. `allowTab` undoes this.
      if (terminal.textarea !== undefined) terminal.textarea.tabIndex = -1;
      title.current?.focus();
    };
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    withAdoptedStyles(() => terminal.open(element));
    terminal.attachCustomKeyEventHandler((event) => {
      if (!(event.ctrlKey && event.key === ']')) return true;
      event.preventDefault();
      if (event.type === 'keydown') leave();
      return false;
    });
    terminal.onData((text) => live.type(text));
    const writes = new ThrottledWrites((bytes) => terminal.write(bytes));
    live.onConsole = (bytes) => {
      if (bytes !== undefined) writes.add(bytes);
      else {
        writes.clear();
        terminal.reset();
      }
    };
    const stopColours = effect(() => {
      terminal.options.theme = terminalColours(shownTheme.value);
    });
    const sizes = new ResizeObserver(() => {
      terminal.options.fontSize = fontSize();
      fit.fit();
    });
    sizes.observe(element);
    const heading = title.current;
    const allowTab = (): void => {
      if (terminal.textarea !== undefined) terminal.textarea.tabIndex = 0;
    };
    heading?.addEventListener('blur', allowTab);
    const stopCommand = onCommand('console', () => terminal.focus());
    return () => {
      stopCommand();
      heading?.removeEventListener('blur', allowTab);
      sizes.disconnect();
      stopColours();
      live.onConsole = () => undefined;
      writes.clear();
      terminal.dispose();
    };
  }, [live]);

  return (
    <section class="panel console" aria-labelledby="title-console">
      <h2 class="panel-title" id="title-console" tabIndex={-1} ref={title}>
        {words.title}
        <span class="hint">{hasConsole.value ? words.leaveHint : words.none}</span>
      </h2>
      <div class="console-place" ref={place} />
    </section>
  );
}

/**
 * The terminal's font size in px: 80 columns fit into the panel (the grid's columns in layout.css).
 */
function fontSize(): number {
  return Math.floor(parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.9);
}
