/**
 * Shortcuts: single keys for frequent commands. They are off while the focus is in a field or in
 * the guest's console, and all but `?` while the help is open. The list under `?` comes from the
 * same table.
 */

import type { ShortcutName } from './strings/en.js';
import { LOWER_TABS, SIDE_TABS } from './ui-state.js';

export interface Shortcut {
  readonly name: ShortcutName;
  /** The keys as they are shown in the list. */
  readonly keys: readonly string[];
}

/** The tabs of both docks, those of the lower one first. */
const TABS = LOWER_TABS.length + SIDE_TABS.length;

/** The shortcuts, in the order of the list. */
export const SHORTCUTS: readonly Shortcut[] = [
  { name: 'help', keys: ['?'] },
  { name: 'console', keys: ['c'] },
  { name: 'leaveConsole', keys: ['Ctrl', ']'] },
  { name: 'slots', keys: ['o'] },
  { name: 'arrows', keys: ['←', '→', '↑', '↓'] },
  { name: 'holdPending', keys: ['h'] },
  { name: 'holdComplete', keys: ['j'] },
  { name: 'step', keys: ['s'] },
  { name: 'go', keys: ['g'] },
  { name: 'goAll', keys: ['a'] },
  { name: 'addBreakpoint', keys: ['b'] },
  { name: 'pause', keys: ['p'] },
  { name: 'tabs', keys: ['1', '…', `${TABS}`] },
  { name: 'language', keys: ['l'] },
  { name: 'theme', keys: ['t'] },
  { name: 'close', keys: ['Esc'] },
];

/**
 * What a key does. `leaveConsole`, `arrows` and `close` are handled by the console, the slots and
 * the dialogs. `tabs` is several commands, one for each tab, from `tab-0`.
 */
export type Command = Exclude<ShortcutName, 'leaveConsole' | 'arrows' | 'close' | 'tabs'> | `tab-${number}`;

/**
 * The commands by KeyboardEvent.key. `close` is among them, but never matches: that key is named
 * Escape. Digits from 1 choose the tabs.
 */
const BY_KEY = new Map<string, Command>([
  ...SHORTCUTS.filter(({ keys }) => keys.length === 1).map(({ name, keys }): [string, Command] => [
    keys[0] ?? '',
    name as Command,
  ]),
  ...Array.from({ length: TABS }, (_, i): [string, Command] => [`${i + 1}`, `tab-${i}`]),
]);

const listeners = new Map<Command, () => void>();

/**
 * Calls `listener` for a command. A command has one listener, the latest. Returns a function that
 * removes it.
 */
export function onCommand(command: Command, listener: () => void): () => void {
  listeners.set(command, listener);
  return () => {
    if (listeners.get(command) === listener) listeners.delete(command);
  };
}

/** Starts to handle keys. */
export function listenToKeys(): void {
  document.addEventListener('keydown', (event) => {
    const { target } = event;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (target instanceof HTMLElement && isTyping(target)) {
      // In the console Escape is a key for the guest.
      if (event.key === 'Escape' && target.closest('.console-place') === null) target.blur();
      return;
    }
    // The help is the only dialog, and `?` closes it.
    if (document.querySelector('dialog[open]') !== null && event.key !== '?') return;
    const command = BY_KEY.get(event.key);
    const listener = command && listeners.get(command);
    if (listener === undefined) return;
    event.preventDefault();
    listener();
  });
}

/** Whether the element uses keys itself: a field, a selection, the console. */
function isTyping(target: HTMLElement): boolean {
  return target.matches('input:not([type=checkbox]), select, textarea, [contenteditable]');
}
