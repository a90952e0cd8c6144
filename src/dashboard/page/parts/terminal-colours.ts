/**
 * Terminal colours: the page's, and for each theme sixteen ANSI colours that are readable on its
 * background.
 *
 * Called by: the console panel.
 */

import type { ITheme } from '@xterm/xterm';

const LIGHT: ITheme = {
  black: '#1a2027',
  red: '#b3261e',
  green: '#1a7038',
  yellow: '#8f5a00',
  blue: '#0b5cad',
  magenta: '#8a2f8f',
  cyan: '#00697a',
  white: '#56616d',
  brightBlack: '#56616d',
  brightRed: '#c4352c',
  brightGreen: '#1f7f41',
  brightYellow: '#7d5100',
  brightBlue: '#1668bd',
  brightMagenta: '#9a3aa0',
  brightCyan: '#007689',
  brightWhite: '#1a2027',
};

const DARK: ITheme = {
  black: '#2e363d',
  red: '#ff8d85',
  green: '#67c587',
  yellow: '#e0aa4a',
  blue: '#6cb1f5',
  magenta: '#d59be0',
  cyan: '#5cc8d4',
  white: '#dde3e8',
  brightBlack: '#98a4af',
  brightRed: '#ffaaa3',
  brightGreen: '#8ad9a4',
  brightYellow: '#f0c473',
  brightBlue: '#93c8fb',
  brightMagenta: '#e3b8eb',
  brightCyan: '#84dbe4',
  brightWhite: '#ffffff',
};

/** The colours of the console for a theme. Background and text are those of the page. */
export function terminalColours(theme: 'light' | 'dark'): ITheme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ...(theme === 'dark' ? DARK : LIGHT),
    background: colour('--panel'),
    foreground: colour('--text'),
    cursor: colour('--accent'),
    cursorAccent: colour('--panel'),
    overviewRulerBorder: colour('--panel'),
    selectionBackground: colour('--processing-fill'),
  };
}
