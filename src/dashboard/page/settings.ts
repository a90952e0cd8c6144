/**
 * Settings: language and theme of the page. Default: the browser's language and the system's theme.
 * A choice is stored in localStorage for the next visit.
 *
 * Called by: main.tsx, which applies them; the components, for words; the header, for a choice.
 */

import { effect, signal, type Signal } from '@preact/signals';
import { en, type Strings } from './strings/en.js';
import { zh } from './strings/zh.js';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];
export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STRINGS: Readonly<Record<Language, Strings>> = { en, zh };
/**
 * Values of the attribute `lang`. Screen readers choose their voice and browsers the font by it.
 */
const LANG_TAGS: Readonly<Record<Language, string>> = { en: 'en', zh: 'zh-Hans' };

export const language: Signal<Language> = signal(
  stored('language', LANGUAGES) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'),
);
export const theme: Signal<Theme> = signal(stored('theme', THEMES) ?? 'system');
/** The theme in effect, also if `theme` is `system`. */
export const shownTheme: Signal<'light' | 'dark'> = signal('light');

/**
 * The page's words in the chosen language. It reads a signal: a component that calls it in its
 * render is drawn again when the language changes.
 */
export function strings(): Strings {
  return STRINGS[language.value];
}

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  localStorage.setItem('upcall.language', chosen);
}

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  localStorage.setItem('upcall.theme', chosen);
}

/** Applies the settings to the document, now and on each change. */
export function applySettings(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const systemTheme = signal(dark.matches);
  dark.addEventListener('change', ({ matches }) => (systemTheme.value = matches));
  effect(() => {
    document.documentElement.lang = LANG_TAGS[language.value];
  });
  effect(() => {
    shownTheme.value = theme.value === 'system' ? (systemTheme.value ? 'dark' : 'light') : theme.value;
    document.documentElement.dataset['theme'] = shownTheme.value;
  });
}

/** The stored choice, if it is one of `values`. */
function stored<Value extends string>(key: string, values: readonly Value[]): Value | undefined {
  const value = localStorage.getItem(`upcall.${key}`);
  return values.find((one) => one === value);
}
