import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

// The compiled test lies in an output folder beside src/.
const css = readFileSync(new URL('../../../src/dashboard/page/style/theme.css', import.meta.url), 'utf8');

function colours(selector: string): Map<string, string> {
  const block = new RegExp(`${selector.replace(/[[\]]/g, '\\$&')} \\{([^}]*)\\}`).exec(css)?.[1] ?? '';
  return new Map(
    [...block.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map(([, name = '', colour = '']) => [name, colour]),
  );
}

/** Relative luminance and contrast: WCAG 2.2, sections 1.4.3 and 1.4.11. */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const STATES = ['free', 'pending', 'processing', 'complete', 'alarm'];
const GROUNDS = ['--panel', '--raised'];
const TEXT: readonly (readonly [text: string, ground: string])[] = [
  ...['--text', '--dim', '--accent', ...STATES.map((state) => `--${state}`)].flatMap((text) =>
    GROUNDS.map((ground) => [text, ground] as const),
  ),
  ['--text', '--ground'],
  ['--on-accent', '--accent'],
  ...STATES.filter((state) => state !== 'free').flatMap((state) => [
    [`--${state}`, `--${state}-fill`] as const,
    ['--dim', `--${state}-fill`] as const,
    ['--text', `--${state}-fill`] as const,
  ]),
];

for (const [name, selector] of [
  ['light', ':root'],
  ['dark', ":root[data-theme='dark']"],
] as const)
  test(`the ${name} theme has a contrast of 4.5 for text and 3 for controls`, () => {
    const theme = colours(selector);
    const of = (colour: string): string => {
      const value = theme.get(colour);
      assert.ok(value !== undefined, `${colour} is missing`);
      return value;
    };
    const poor = [
      ...TEXT.filter(([text, ground]) => contrast(of(text), of(ground)) < 4.5),
      ...GROUNDS.flatMap((ground) => ['--line-strong', '--focus'].map((line) => [line, ground] as const)).filter(
        ([line, ground]) => contrast(of(line), of(ground)) < 3,
      ),
    ].map(([text, ground]) => `${text} on ${ground}: ${contrast(of(text), of(ground)).toFixed(2)}`);
    assert.deepEqual(poor, []);
  });
