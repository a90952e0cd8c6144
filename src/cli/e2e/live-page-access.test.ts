import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { faint, missedByTab, nameless } from './page-audit.js';
import { findChromium, whyNoPage } from './page-browser.js';
import { PageFixture } from './page-fixture.js';

const chromium = findChromium();
const skip = whyNoPage();

/** Blocks its thread in a write: it can neither answer the guest nor be peeked. */
const BLOCKING_DEVICE = `export default class {
  name = 'blocking';
  registers = { source: 'its data sheet', registers: [
    { offset: 0, size: 1, name: 'COUNT', access: 'r', meaning: 'reads so far' },
  ] };
  #count = 0;
  read() { return ++this.#count; }
  peek() { return this.#count; }
  write() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }
}`;

describe('accessibility and security of the live page', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-page-e2e-'));
  const device = join(folder, 'blocking.mjs');
  const fixture = new PageFixture(chromium ?? '', () => [
    '--device',
    `${device}@0x500,thread`,
    '--client-timeout',
    'none',
  ]);
  before(() => writeFileSync(device, BLOCKING_DEVICE));
  after(async () => {
    await fixture.close();
    rmSync(folder, { recursive: true });
  });

  async function everyView(page: Page, check: (view: string) => Promise<void>): Promise<void> {
    for (const tab of await page.getByRole('tab').all()) {
      await tab.click();
      await check((await tab.textContent()) ?? '');
    }
    await page.locator('#title-console').focus();
    await page.keyboard.press('?');
    await page.locator('dialog[open]').waitFor();
    await check('keys');
    await page.keyboard.press('Escape');
  }

  for (const [locale, colorScheme] of [
    ['en-US', 'light'],
    ['zh-CN', 'dark'],
  ] as const)
    test(`every view in ${locale}, ${colorScheme}: every control has a name and all text a contrast of 4.5`, () =>
      fixture.use(
        async ({ page, command, shows }) => {
          await shows('monitor>');
          // Content for the views: an unclaimed access, a held request, a breakpoint.
          await command('in8 300');
          await shows(/in8 300\s*0xff/);
          const form = page.locator('.breakpoint-form');
          await page.locator('[data-tab="stops"]').click();
          await form.locator('[name="first"]').fill('0x71');
          await form.locator('button').click();
          await command('in8 71');
          await page.locator('.held-request').waitFor();
          await everyView(page, async (view) => {
            assert.deepEqual(await nameless(page), [], view);
            assert.deepEqual(await faint(page), [], view);
          });
          await page.locator('[data-tab="stops"]').click();
          await page.locator('.stops h3 button').click();
          await page.locator('.held-request').waitFor({ state: 'detached' });
        },
        // The defaults of a new page.
        locale === 'en-US' ? undefined : { locale, colorScheme },
      ));

  test('Tab reaches every control of every view, also from the console, with a visible focus', () =>
    fixture.use(async ({ page, shows }) => {
      await shows('monitor>');
      for (const tab of ['timeline', 'clients', 'latency', 'unclaimed', 'stops', 'device']) {
        await page.locator(`[data-tab="${tab}"]`).click();
        if (tab === 'timeline' || tab === 'stops' || tab === 'device')
          assert.deepEqual(await missedByTab(page), [], tab);
      }
    }));

  test('with reduced motion nothing is animated, and slots are drawn twice per second instead of per frame', () =>
    fixture.use(async ({ page, command, shows }) => {
      await shows('monitor>');
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await command('repeat 4000. in8 300');
      const transition = `getComputedStyle(document.querySelector('.stop-controls button')).transitionDuration`;
      assert.equal(await page.evaluate<string>(transition), '0s');
      // The time between four redraws of the busy slot, by the page's clock.
      const ms = (): Promise<number> =>
        page.evaluate<number>(`new Promise((resolve) => {
            const times = [];
            const watcher = new MutationObserver(() => {
              times.push(performance.now());
              if (times.length < 4) return;
              watcher.disconnect();
              resolve(times[3] - times[0]);
            });
            watcher.observe(document.querySelector('[data-slot="0"]'), { subtree: true, childList: true, characterData: true, attributes: true });
          })`);
      const calm = await ms();
      assert.ok(calm > 1200, `${calm} ms`);
      await page.emulateMedia({ reducedMotion: 'no-preference' });
      assert.notEqual(await page.evaluate<string>(transition), '0s');
      const lively = await ms();
      assert.ok(lively < calm, `${lively} ms`);
      await page.locator('.xterm-helper-textarea').focus();
      await page.keyboard.press('Control+c');
    }));

  test('inline styles, scripts and images are refused by the policy, and a refusal fails a test', () =>
    fixture.use(async ({ page, complaints, shows }) => {
      await shows('monitor>');
      for (const [what, inject] of [
        [
          'style-src',
          `document.head.append(Object.assign(document.createElement('style'), { textContent: 'p { color: red }' }))`,
        ],
        ['style-src', `document.body.setAttribute('style', 'color: red')`],
        ['script-src', `document.head.append(Object.assign(document.createElement('script'), { textContent: '0' }))`],
        [
          'img-src',
          `document.body.append(Object.assign(new Image(), { src: 'data:image/gif;base64,R0lGODlhAQABAAAAACw=' }))`,
        ],
      ] as const) {
        const refused = page.waitForEvent('console', { predicate: (message) => message.text().includes(what) });
        await page.evaluate(inject);
        await refused;
        assert.ok(
          complaints.splice(0).some((complaint) => complaint.includes(what)),
          what,
        );
      }
    }));

  test('the token is in no address, request or log, and an address pasted over an open page is used', () =>
    fixture.use(async ({ page, shows }, served) => {
      await shows('monitor>');
      const token = new URL(served.address).hash.slice(1);
      assert.ok(token.length > 30);
      const asked: string[] = [];
      page.on('request', (request) => asked.push(`${request.url()} ${JSON.stringify(request.headers())}`));
      page.on('websocket', (socket) => asked.push(socket.url()));
      await page.reload();
      await shows('monitor>');
      assert.equal(page.url(), `${new URL(served.address).origin}/`);
      assert.ok((await page.evaluate<number>('history.length')) <= 2, 'a blank page and this one');
      assert.ok(asked.length > 3);
      assert.deepEqual(
        asked.filter((one) => one.includes(token)),
        [],
      );
      const stranger = await page.context().browser()?.newPage({ locale: 'en-US' });
      assert.ok(stranger !== undefined);
      await stranger.goto(new URL('/', served.address).href);
      await stranger.locator('.vm-state', { hasText: 'open the address that upcall printed' }).waitFor();
      await stranger.goto(served.address);
      await stranger.locator('.vm-state.running').waitFor();
      assert.equal(new URL(stranger.url()).hash, '');
      await stranger.close();
      assert.equal(served.errorOutput().split(token).length - 1, 1, 'it is printed once, with the address');
    }));

  // Last, because its device never replies again.
  test('shows the registers of a device in its own thread, and says when the thread does not reply', () =>
    fixture.use(async ({ page, command, shows }) => {
      await shows('monitor>');
      await command('in8 500');
      await shows(/in8 500\s*0x01/);
      await page.locator('button.client', { hasText: 'blocking' }).click();
      const count = page.locator('.registers tr', { hasText: 'COUNT' });
      await count.filter({ hasText: '0x01' }).waitFor();
      await command('in8 500');
      // Peeks do not count: the guest has read it twice.
      await count.filter({ hasText: '0x02' }).waitFor();
      await command('out8 500 1');
      await count.filter({ hasText: 'no reply' }).waitFor();
      await page.locator('.view-device .alarm').waitFor();
      await page.locator('[data-slot="0"][data-state="PROCESSING"]').waitFor();
    }));
});
