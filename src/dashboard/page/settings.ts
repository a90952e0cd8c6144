/** Language and theme: as the system has them until somebody chooses, and then as chosen, also the next time. */

import { effect, signal, type Signal } from '@preact/signals';
import { en, type Strings } from './strings/en.js';
import { zh } from './strings/zh.js';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];
export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STRINGS: Readonly<Record<Language, Strings>> = { en, zh };
const LANG_TAGS: Readonly<Record<Language, string>> = { en: 'en', zh: 'zh-Hans' };

export const language: Signal<Language> = signal(
  stored('language', LANGUAGES) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'),
);
export const theme: Signal<Theme> = signal(stored('theme', THEMES) ?? 'system');
/** The theme that is to be seen. */
export const shownTheme: Signal<'light' | 'dark'> = signal('light');

/** In a render, the component is drawn again when the language changes. */
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

/** Keeps the document's language and theme as they are set. */
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

function stored<Value extends string>(key: string, values: readonly Value[]): Value | undefined {
  const value = localStorage.getItem(`upcall.${key}`);
  return values.find((one) => one === value);
}
