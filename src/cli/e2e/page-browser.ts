/**
 * For end-to-end tests of the live page: `upcall run … --page` and a real browser with that page.
 * Requests to other servers and the browser's errors are recorded.
 */

import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { MAIN, start, type Started } from './upcall-process.js';

/** The names of Chromium's program. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** UPCALL_CHROMIUM, or the first Chromium in PATH. */
export function findChromium(): string | undefined {
  const given = process.env['UPCALL_CHROMIUM'];
  if (given !== undefined) return given;
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find(isExecutable);
}

/** Of the window, in which nothing of the page may be cut off. */
export const WINDOW_SIZES = [
  [1280, 720],
  [1920, 1080],
  [2560, 1440],
] as const;

/** Why a test with a browser cannot run here, or false. */
export function whyNoPage(): string | false {
  if (findChromium() === undefined)
    return 'there is no Chromium: install the package chromium, or name one in UPCALL_CHROMIUM';
  const isBuilt = existsSync(new URL('../../dashboard/page/index.html', import.meta.url));
  return !isBuilt && 'the page is not built: npm run build:page';
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function launch(executablePath: string): Promise<Browser> {
  // Chromium's sandbox does not work for root, which runs tests in containers.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

/** A running monitor with a live page. */
export interface Served {
  readonly session: Started;
  /** The page's address, with its token. */
  readonly address: string;
  /** The session's standard error so far. */
  readonly errorOutput: () => string;
}

/** `guest`: a name, or the file of a snapshot. */
export async function serve(args: readonly string[] = [], guest = 'monitor'): Promise<Served> {
  const session = start(process.execPath, [MAIN, 'run', guest, '--page', ...args]);
  let errors = '';
  session.child.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString()));
  return { session, address: await printedAddress(session), errorOutput: () => errors };
}

export interface OpenPage {
  readonly page: Page;
  /** Requests to other servers, errors and violations of the content security policy. */
  readonly complaints: string[];
  /** Types a line into the guest's console and leaves the console. */
  readonly command: (text: string) => Promise<void>;
  /** Resolves when the guest's console shows this text. */
  readonly shows: (text: string | RegExp) => Promise<void>;
  /** For a failed test: the focus, the guest's console and the header. */
  readonly scene: () => Promise<string>;
  /** Resets size, media, settings and recorded errors, as if the page was just opened. */
  readonly reopen: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Of the browser's window. */
const SIZE = { width: 1280, height: 720 };

/** Time limit for describing a page that may not respond. */
const SCENE_LIMIT_MS = 10_000;
const SCENE = `(() => {
  const { activeElement: focused } = document;
  const texts = (selector) => [...document.querySelectorAll(selector)].map((one) => one.innerText.trim()).filter(Boolean);
  const lines = texts('.xterm-rows > div').map((line) => '  ' + line);
  return ['focused: ' + focused.outerHTML.slice(0, 120), 'header: ' + texts('.vm-state').join(' '),
    'held: ' + texts('.held-request').join('; '), 'breakpoints: ' + texts('.breakpoints li').join('; '),
    'dialog: ' + (document.querySelector('dialog[open]') !== null), 'console:', ...lines].join('\\n');
})()`;

/** Opens the page of `served` in a browser profile of its own. */
export async function openPage(
  browser: Browser,
  { address }: Pick<Served, 'address'>,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const { origin } = new URL(address);
  const complaints: string[] = [];
  const context = await browser.newContext({ viewport: SIZE, locale: 'en-US', ...options });
  context.setDefaultTimeout(60_000);
  context.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) complaints.push(`asked for ${request.url()}`);
  });
  const page = await context.newPage();
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== new URL(origin).host) complaints.push(`connected to ${socket.url()}`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(address);
  const shows = (text: string | RegExp): Promise<void> =>
    page.locator('.xterm-rows').filter({ hasText: text }).waitFor();
  return {
    page,
    complaints,
    shows,
    command: async (text) => {
      await page.locator('.xterm-helper-textarea').focus();
      await page.keyboard.type(`${text}\n`);
      await page.keyboard.press('Control+]');
    },
    scene: () =>
      Promise.race([
        page.evaluate<string>(SCENE).catch(String),
        sleep(SCENE_LIMIT_MS, 'the page does not answer', { ref: false }),
      ]),
    reopen: async () => {
      await page.setViewportSize(SIZE);
      await page.emulateMedia({ colorScheme: null, reducedMotion: null });
      await page.evaluate('localStorage.clear()');
      await page.reload();
      complaints.length = 0;
    },
    close: () => context.close(),
  };
}

/** Resolves with the address that `upcall run --page` prints, with its token. */
export function printedAddress({ child, ended }: Started): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stderr.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      const address = /http:\/\/\S+(?=\n)/.exec(text)?.[0];
      if (address !== undefined) resolve(address);
    });
    ended.then(() => reject(new Error(`no address: ${text}`)), reject);
  });
}
