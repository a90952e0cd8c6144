/**
 * Accessibility checks of the live page: names, contrast and keyboard operation. The functions are
 * texts because they run in the browser, and the tests are compiled without the DOM's types.
 */

import type { Page } from 'playwright-core';

/** Visible elements without an accessible name. */
const NAMELESS = `
  [...document.querySelectorAll('button, select, input, textarea, table, dialog, [role], section, [tabindex="0"]')]
    .filter((one) => one.checkVisibility() && !one.closest('.xterm') && one.getAttribute('role') !== 'listitem')
    .filter((one) => {
      const by = (one.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent);
      const needsLabel = one.matches('select, input, table, section, dialog, [role=group], [role=region], [role=img], [role=list]');
      const label = [...(one.labels ?? [])].map((label) => label.textContent);
      const names = [one.getAttribute('aria-label'), ...by, ...label, needsLabel ? '' : one.textContent];
      return !one.matches('[role=status], [role=alert], [role=tablist]') && names.every((name) => !name?.trim());
    })
    .map((one) => one.outerHTML.slice(0, 120))`;

/** Texts below WCAG's contrast of 4.5 : 1. Disabled controls are exempt, as in WCAG. */
const FAINT = `(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const over = ([r, g, b, a = 1], ground) => [r, g, b].map((part, i) => part * a + ground[i] * (1 - a));
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => part / 255).map((p) => (p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => {
    if (one === null) return [255, 255, 255];
    const colour = parse(getComputedStyle(one).backgroundColor);
    return colour[3] === 0 ? ground(one.parentElement) : over(colour, ground(one.parentElement));
  };
  const faint = new Set();
  const check = (one, style, text) => {
    const below = ground(one);
    const [dark, bright] = [light(over(parse(style.color), below)), light(below)].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < 4.5 || Number(style.opacity) < 1) faint.add(text.trim().slice(0, 40) + ' ' + contrast.toFixed(2) + ' ' + one.className);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
    const one = text.parentElement;
    if (!text.data.trim() || !one.checkVisibility() || one.closest('.xterm, [aria-disabled=true], noscript')) continue;
    check(one, getComputedStyle(one), text.data);
  }
  for (const one of document.querySelectorAll('input[placeholder]')) check(one, getComputedStyle(one, '::placeholder'), one.placeholder);
  return [...faint];
})()`;

/** A permanent number for an element: its position changes while the guest prints. */
const NUMBER_OF = `
  const numbers = (globalThis.auditedElements ??= new Map());
  const numberOf = (one) => {
    if (!numbers.has(one)) numbers.set(one, numbers.size);
    return numbers.get(one);
  };`;

/** The focused element, and whether its focus is visible. */
const FOCUS = `(() => {${NUMBER_OF}
  const one = document.activeElement;
  if (one === null || one === document.body) return undefined;
  const isConsole = one.matches('.xterm-helper-textarea');
  const style = getComputedStyle(one);
  const seen = isConsole
    ? getComputedStyle(one.closest('.panel')).borderTopColor === getComputedStyle(one.closest('.panel')).outlineColor ||
      one.closest('.panel').matches(':focus-within')
    : style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return { at: numberOf(one), isConsole, seen, html: one.outerHTML.slice(0, 100) };
})()`;

/** The stops of the Tab key: one for a row of tabs or slots, whose others the arrow keys reach. */
const REACHABLE = `(() => {${NUMBER_OF}
  return [...document.querySelectorAll('button, select, input, textarea, [tabindex]')]
    .filter((one) => one.tabIndex >= 0 && one.checkVisibility())
    .map((one) => ({ at: numberOf(one), html: one.outerHTML.slice(0, 100) }));
})()`;

export function nameless(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(NAMELESS);
}

export function faint(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(FAINT);
}

interface Focused {
  readonly at: number;
  readonly isConsole: boolean;
  readonly seen: boolean;
  readonly html: string;
}

/**
 * Walks through the page by Tab, and out of the console by its own key. Returns what it does not
 * reach or whose focus is invisible.
 */
export async function missedByTab(page: Page): Promise<string[]> {
  const due = await page.evaluate<{ readonly at: number; readonly html: string }[]>(REACHABLE);
  const found = new Map<number, Focused>();
  // At most twice the number of stops: the browser's own frame is one as well.
  for (let i = 0; i < 2 * due.length && due.some(({ at }) => !found.has(at)); i++) {
    await page.keyboard.press('Tab');
    const focus = await page.evaluate<Focused | undefined>(FOCUS);
    if (focus === undefined) continue;
    found.set(focus.at, focus);
    if (focus.isConsole) await page.keyboard.press('Control+]');
  }
  return [
    ...due.filter(({ at }) => !found.has(at)).map(({ html }) => `not reached: ${html}`),
    ...[...found.values()].filter(({ seen }) => !seen).map(({ html }) => `not seen: ${html}`),
  ];
}
