import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { findChromium, launch, openPage, serve, type Served, whyNoPage, WINDOW_SIZES } from './page-browser.js';
import { PageFixture } from './page-fixture.js';

const chromium = findChromium();
const skip = whyNoPage();

describe('the live page', { skip }, () => {
  const fixture = new PageFixture(chromium ?? '');
  after(() => fixture.close());

  test('shows the guest’s console with input, and the slots’ transitions', () =>
    fixture.use(async ({ page, shows, command }, { address }) => {
      await shows('monitor>');
      assert.ok(new URL(address).hash.length > 10);
      assert.equal(new URL(page.url()).hash, '', 'the token is not left in the address');
      await command('echo seen on the page');
      await shows(/monitor> echo seen on the page\s*seen on the page/);
      const slot = page.locator('[data-slot="0"]');
      await slot.filter({ hasText: /(read|write) port 0x[0-9a-f]+/ }).waitFor();
      await page.locator('.request-line', { hasText: 'uart16550' }).first().waitFor();
      await page.getByRole('button', { name: 'Transitions' }).click();
      for (const state of ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE'])
        await page.locator('.moves .state', { hasText: state }).first().waitFor();
      await page.locator('.client', { hasText: 'uart16550' }).waitFor();
      await page.locator('.dump .state-word').waitFor();
    }));

  test('folds away the slots without a vCPU, so that the live one is large, and shows all on demand', () =>
    fixture.use(async ({ page, shows }) => {
      await shows('monitor>');
      const slots = page.locator('[data-slot]');
      assert.equal(await slots.count(), 1);
      await slots.filter({ hasText: /(read|write) port 0x[0-9a-f]+\/1/ }).waitFor();
      const width = async (): Promise<number> => (await slots.first().boundingBox())?.width ?? 0;
      const large = await width();
      const fold = page.getByRole('button', { name: '15 slots without a vCPU' });
      assert.equal(await fold.getAttribute('aria-expanded'), 'false');
      await fold.click();
      await slots.nth(15).waitFor();
      assert.ok((await width()) < large / 6);
      await fold.click();
      await slots.nth(1).waitFor({ state: 'detached' });
    }));

  test('shows a line for each request, and its transitions on demand', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await page.getByRole('combobox', { name: 'Client', exact: true }).selectOption('cmos-rtc');
      await command('in8 71; in8 71; echo two reads');
      await shows(/0x[0-9a-f]{2}\s*two reads/);
      const lines = page.locator('.moves > [role=listitem]');
      await lines.nth(1).waitFor();
      assert.equal(await lines.count(), 2);
      const newest = lines.first();
      await newest
        .locator('.request-line', { hasText: /\d [nµm]?s\s*0\s*FREE\s*cmos-rtc\s*read port 0x71\/1 = 0x/ })
        .click();
      const states = await newest.locator('[role=list] .state').allInnerTexts();
      assert.deepEqual(
        states.map((text) => text.trim()),
        ['FREE', 'COMPLETE', 'PROCESSING', 'PENDING'],
      );
      await newest.locator('.request-line').click();
      await newest.locator('[role=list]').waitFor({ state: 'detached' });
    }));

  test('shows of a device without a register map its latest accesses', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await page.locator('button.client', { hasText: 'pci-ecam' }).click();
      await page.locator('.view-device', { hasText: 'None since this view was opened' }).waitFor();
      await command('rd32 e0000000');
      await page.locator('.view-device tr', { hasText: /^\+0\s*0xe0000000\/4\s*read/ }).waitFor();
    }));

  test('shows interrupt lines with level, owners, edges and ends, and writes nothing while they rest', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await page.getByRole('tab', { name: 'Interrupts' }).click();
      await command('out8 71 1; echo seen');
      const uart = page.locator('.interrupts [data-line="4"]');
      await uart.filter({ hasText: /^4\s*low\s*[1-9][\d,]*\s*[1-9][\d,]*\s*–\s*uart16550$/ }).waitFor();
    }));

  test('shows the PCI functions of the default client', () =>
    fixture.use(async ({ page, shows }) => {
      await shows('monitor>');
      await page.getByRole('tab', { name: 'Device' }).click();
      await page.locator('.view-device select').selectOption({ label: 'default client' });
      await page.locator('.pci-function', { hasText: /00:00\.0[^]*Class\s*06 00 00/ }).waitFor();
    }));

  test('redraws only the age of an idle slot, in tenths of a second', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await command('echo and rests');
      await shows(/and rests\s*and rests\s*monitor>/);
      await page.locator('[data-slot="0"][data-state="FREE"] .slot-owner', { hasText: /\d\.\ds/ }).waitFor();
      // The DOM writes into the diagram and the slot's panel until the age has changed five times.
      const writes = await page.evaluate<string[]>(`new Promise((resolve) => {
        const texts = [];
        let ages = 0;
        const watcher = new MutationObserver((records) => {
          for (const { target } of records) {
            if (target.parentElement?.closest('.slot-owner')) ages++;
            else texts.push(target.textContent);
          }
          if (ages < 5) return;
          watcher.disconnect();
          resolve(texts);
        });
        for (const view of document.querySelectorAll('.slots, .slot-panel'))
          watcher.observe(view, { subtree: true, childList: true, characterData: true, attributes: true });
      })`);
      assert.ok(writes.length <= 5, writes.join());
      for (const text of writes) assert.match(text, /^\d+\.\d s$/);
    }));

  test('holds a port read, changes its value and continues', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await page.getByRole('tab', { name: 'Breakpoints' }).click();
      const form = page.locator('.breakpoint-form');
      await form.locator('[name="at"]').selectOption('complete');
      // An invalid number stays in the page: the server would close the connection.
      await form.locator('[name="first"]').fill('port 500');
      await form.getByRole('button', { name: 'Add' }).click();
      await form.getByRole('alert').filter({ hasText: 'hexadecimal' }).waitFor();
      await form.locator('[name="first"]').fill('500');
      await form.getByRole('button', { name: 'Add' }).click();
      await page.locator('.breakpoints li', { hasText: '0x500' }).waitFor();
      await command('in8 500');
      const held = page.locator('.held-request');
      await held.filter({ hasText: 'read port 0x500/1 = 0xff' }).waitFor();
      await page.locator('[data-slot="0"][data-state="PROCESSING"]').waitFor();
      await page.locator('.vm-state', { hasText: '1 held' }).waitFor();
      await held.locator('[name="value"]').fill('-1');
      await held.getByRole('button', { name: 'Change' }).click();
      await held.getByRole('status').filter({ hasText: 'hexadecimal' }).waitFor();
      await held.locator('[name="value"]').fill('2a');
      await held.getByRole('button', { name: 'Change' }).click();
      await held.filter({ hasText: '= 0x2a' }).waitFor();
      await held.getByRole('button', { name: 'Continue', exact: true }).click();
      await held.waitFor({ state: 'detached' });
      await shows(/in8 500\s*0x2a/);
      await page.locator('.breakpoints li', { hasText: '1 hit' }).waitFor();
      await page.getByRole('button', { name: 'Remove breakpoint' }).click();
      await command('in8 500');
      await shows(/in8 500\s*0x2a[^]*in8 500\s*0xff/);
    }));

  test('changes a written value, and steps from stop to stop', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await page.getByRole('tab', { name: 'Breakpoints' }).click();
      const form = page.locator('.breakpoint-form');
      await form.locator('[name="client"]').selectOption('uart16550');
      await form.locator('[name="expression"]').fill('value == 0x51 &&');
      await form.getByRole('button', { name: 'Add' }).click();
      await form.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
      await form.locator('[name="direction"]').selectOption('write');
      await form.locator('[name="expression"]').fill('value == 0x51');
      await form.getByRole('button', { name: 'Add' }).click();
      await page.locator('.breakpoints li', { hasText: 'value == 0x51' }).waitFor();
      // The monitor echoes its input: the Q that it writes is changed to a Z.
      await command('Q');
      const held = page.locator('.held-request');
      await held.filter({ hasText: 'vCPU 0 PENDING' }).waitFor();
      await held.locator('[name="value"]').fill('0x5a');
      await held.getByRole('button', { name: 'Change' }).click();
      await held.filter({ hasText: '= 0x5a' }).waitFor();
      await held.getByRole('button', { name: 'Step' }).click();
      await held.filter({ hasText: 'vCPU 0 before COMPLETE' }).waitFor();
      await page.getByRole('button', { name: 'Remove all and continue' }).click();
      await shows(/monitor> Z/);
      await command('');
    }));

  test('uses the system’s language and theme or the chosen ones, and stores the choice', () =>
    fixture.use(
      async ({ page, shows }) => {
        const root = page.locator('html');
        await page.getByText('共享页').waitFor();
        assert.equal(await root.getAttribute('lang'), 'zh-Hans');
        assert.equal(await root.getAttribute('data-theme'), 'dark');
        await page.emulateMedia({ colorScheme: 'light' });
        await page.locator('html[data-theme="light"]').waitFor();
        await page.getByLabel('语言').selectOption('en');
        await page.getByText('Shared page').waitFor();
        await page.getByLabel('Theme').selectOption('dark');
        await page.locator('html[data-theme="dark"]').waitFor();
        await page.reload();
        await page.getByText('Shared page').waitFor();
        assert.equal(await root.getAttribute('data-theme'), 'dark');
        await shows('monitor>');
      },
      { locale: 'zh-CN', colorScheme: 'dark' },
    ));

  test('works by keyboard alone, with a visible focus', () =>
    fixture.use(async ({ page, shows }) => {
      const { keyboard } = page;
      const focused = page.locator(':focus');
      await shows('monitor>');
      await keyboard.press('?');
      await page.locator('dialog[open]').waitFor();
      await keyboard.press('Escape');
      await page.locator('dialog[open]').waitFor({ state: 'detached' });
      await page.locator('.fold').focus();
      await keyboard.press('Enter');
      await page.locator('[data-slot="15"]').waitFor();
      await keyboard.press('o');
      await keyboard.press('ArrowDown');
      await keyboard.press('ArrowRight');
      assert.equal(await focused.getAttribute('data-slot'), '9');
      const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineWidth');
      assert.equal(outline, '2px');
      await page.locator('.slot-title', { hasText: 'Slot 9' }).waitFor();
      await keyboard.press('2');
      await page.getByRole('tab', { name: 'Clients', selected: true }).waitFor();
      // Into the console, where keys are input for the guest, and out of it.
      await keyboard.press('c');
      await keyboard.type('hold?');
      await shows('monitor> hold?');
      await keyboard.press('Control+]');
      assert.equal(await focused.getAttribute('id'), 'title-console');
      // A breakpoint is added and hit.
      await keyboard.press('b');
      await page.locator('[name="first"]:focus').waitFor();
      await keyboard.type('0x71');
      await keyboard.press('Enter');
      await page.locator('.breakpoints li', { hasText: '0x71' }).waitFor();
      await keyboard.press('Escape');
      await keyboard.press('c');
      await keyboard.press('Control+c');
      await keyboard.type('in8 71\n');
      await keyboard.press('Control+]');
      const held = page.locator('.held-request');
      await held.filter({ hasText: 'vCPU 0 PENDING' }).waitFor();
      await keyboard.press('s');
      await held.filter({ hasText: 'vCPU 0 before COMPLETE' }).waitFor();
      await keyboard.press('g');
      await held.waitFor({ state: 'detached' });
      await shows(/in8 71\s*0x[0-9a-f]{2}\s*monitor>/);
      await page.getByRole('button', { name: 'Remove breakpoint' }).click();
      await page.locator('.breakpoints').waitFor({ state: 'detached' });
    }));

  test('a key that moves the focus has moved it before the next key, even if the next frame is late', () =>
    fixture.use(async ({ page, shows }) => {
      const { keyboard } = page;
      const focused = (): Promise<string> =>
        page.evaluate('(({ id, className, name }) => id || name || className)(document.activeElement)');
      const isHelpOpen = (): Promise<boolean> => page.evaluate(`document.querySelector('dialog').open`);
      await shows('monitor>');
      // The test controls the frames: fast keys on a machine that draws slowly.
      await page.evaluate(
        '{ const late = []; requestAnimationFrame = (draw) => late.push(draw); drawLate = () => late.splice(0).forEach((draw) => draw(0)); }',
      );
      await keyboard.press('2');
      assert.equal(await focused(), 'view-clients');
      await keyboard.press('1');
      await keyboard.press('c');
      await page.evaluate('drawLate()');
      assert.equal(await focused(), 'xterm-helper-textarea', 'the late frame does not move the focus');
      await keyboard.press('Control+]');
      await keyboard.press('b');
      assert.equal(await focused(), 'first');
      await keyboard.press('Escape');
      await keyboard.press('?');
      assert.equal(await isHelpOpen(), true);
      await keyboard.press('Escape');
      assert.equal(await isHelpOpen(), false);
    }));

  test('holds every request while “hold” is on, and continues all of them', () =>
    fixture.use(async ({ page, shows }) => {
      await shows('monitor>');
      await page.getByRole('button', { name: 'Hold at PENDING' }).click();
      await page.locator('button[aria-pressed="true"]', { hasText: 'Hold at PENDING' }).waitFor();
      await page.locator('.xterm-helper-textarea').focus();
      await page.keyboard.type('x');
      await page.locator('[data-slot="0"][data-state="PENDING"] .slot-held').waitFor();
      // The serial port had the slot before. The new request has no client yet.
      await page.locator('.slot-summary dl div', { hasText: /^Client–$/ }).waitFor();
      await page.getByRole('button', { name: 'Hold at PENDING' }).click();
      await page.locator('button[aria-pressed="false"]', { hasText: 'Hold at PENDING' }).waitFor();
      await page.getByRole('button', { name: 'Continue all' }).click();
      await shows('monitor> x');
      await page.keyboard.press('c');
      await page.keyboard.press('Enter');
      await shows(/monitor> x\s*error: .*monitor>/);
    }));

  test('logs a refused command', () =>
    fixture.use(async ({ page, shows }) => {
      await shows('monitor>');
      // A page with an outdated view continues a request that is no longer held.
      await page.evaluate(`{
        const { send } = WebSocket.prototype;
        WebSocket.prototype.send = function (text) { send.call(this, text.replace('"vcpu":null', '"vcpu":7')); };
      }`);
      await page.keyboard.press('a');
      const events = page.getByRole('tab', { name: 'Events' });
      await events.locator('.badge', { hasText: '1' }).waitFor();
      await events.click();
      await page.locator('.events li', { hasText: /refused.*vCPU 7/ }).waitFor();
    }));

  test('pauses and filters the timeline', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      await page.getByRole('combobox', { name: 'Client', exact: true }).selectOption('cmos-rtc');
      await page.getByRole('button', { name: 'Transitions' }).click();
      const lines = page.locator('.moves .move');
      await command('in8 71; echo first read');
      await shows(/0x[0-9a-f]{2}\s*first read/);
      await lines
        .filter({ hasText: /FREE.*cmos-rtc.*0x71/s })
        .first()
        .waitFor();
      assert.equal(await lines.count(), 4);
      assert.equal(await lines.filter({ hasText: '0x3f8' }).count(), 0, 'the console’s transitions are filtered out');
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: 'Resume' }).waitFor();
      const before = await lines.allInnerTexts();
      await command('in8 71; echo second read');
      await shows(/0x[0-9a-f]{2}\s*second read/);
      assert.deepEqual(await lines.allInnerTexts(), before);
      await page.getByRole('button', { name: 'Resume' }).click();
      await command('in8 71');
      await lines.nth(4).waitFor();
    }));

  test('fits 1280×720, 1920×1080 and 2560×1440: nothing is cut off, and only the views scroll', () =>
    fixture.use(async ({ page, shows }) => {
      await shows('monitor>');
      for (const [width, height] of WINDOW_SIZES) {
        await page.setViewportSize({ width, height });
        // The largest size has no tabs: all views are visible.
        await page
          .getByRole('tab')
          .first()
          .waitFor({ state: width === 2560 ? 'detached' : 'visible' });
        const sizes = await page.evaluate<number[]>(
          '[document.documentElement.scrollWidth, document.documentElement.scrollHeight]',
        );
        assert.deepEqual(sizes, [width, height]);
        const cut = await page.evaluate<
          string[]
        >(`[...document.querySelectorAll('button:not(.busy), .client-name, .fields td, .slot-state, .slot-owner, .box, .vm-state, .arrow')]
          .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
          .map((one) => one.textContent)`);
        assert.deepEqual(cut, [], `${width}`);
      }
    }));

  test('leaves a held request: the terminal names it and the page, and the guest continues unless asked not to', async () => {
    const served = await serve(['--page-release', '0.5']);
    const browser = await launch(chromium ?? '');
    try {
      const holdRead = async (keep: boolean): Promise<void> => {
        const { page, command, shows, close } = await openPage(browser, served);
        await shows('monitor>');
        await page.getByRole('tab', { name: 'Breakpoints' }).click();
        await page.locator('.keep-held', { hasText: 'otherwise for 0.5 s' }).waitFor();
        if (keep) await page.getByRole('checkbox', { name: 'Keep requests held when no page is open' }).check();
        await page.locator('.breakpoint-form [name="first"]').fill('0x71');
        await page.locator('.breakpoint-form').getByRole('button', { name: 'Add' }).click();
        await page.locator('.breakpoints li', { hasText: '0x71' }).waitFor();
        await command('in8 71');
        await page.locator('.held-request').waitFor();
        await close();
      };
      await holdRead(false);
      await printed(served, `breakpoint 1; the guest continues in 0.5 s. Open ${served.address}`);
      await printed(served, 'no page was opened for 0.5 s: the guest continues');
      const second = await openPage(browser, served);
      await second.shows(/in8 71\s*0x[^]*monitor>/);
      await second.page.getByRole('tab', { name: 'Events' }).click();
      await second.page.locator('.events li', { hasText: 'the guest continues' }).waitFor();
      await second.close();

      await holdRead(true);
      await printed(served, 'it stays held until a page continues it');
      const chinese = await openPage(browser, served, { locale: 'zh-CN' });
      await printed(served, 'a page is open again: the request stays held');
      await chinese.page.locator('[data-tab="stops"]').click();
      const box = chinese.page.getByRole('checkbox', { name: /没有打开的页面时仍停住请求.*否则停 0.5 秒/ });
      assert.equal(await box.isChecked(), true);
      await chinese.page.locator('.held-request').getByRole('button', { name: '继续' }).click();
      await chinese.shows(/in8 71[^]*in8 71\s*0x[^]*monitor>/);
      assert.equal(served.errorOutput().split('the guest continues, without').length - 1, 1);
    } finally {
      await browser.close();
      served.session.child.kill('SIGTERM');
      await served.session.ended;
    }
  });

  test('asks the user to reload it if the server has another protocol version', () =>
    fixture.use(
      async ({ page }) => {
        await page.routeWebSocket(/\/live$/, (socket) => {
          const server = socket.connectToServer();
          server.onMessage((data) =>
            socket.send(typeof data === 'string' ? data.replace(/"protocol":\d+/, '"protocol":0') : data),
          );
        });
        await page.reload();
        await page.locator('.vm-state.lost', { hasText: 'another version' }).waitFor();
      },
      { locale: 'en-US' },
    ));

  test('shows that the VM has ended', () =>
    fixture.use(async ({ page, shows, command, complaints }, { session }) => {
      await shows('monitor>');
      await command('poweroff');
      await page.locator('.vm-state.over, .vm-state.lost').waitFor();
      assert.equal((await session.ended).status, 0);
      // The page tries to reconnect and the browser reports the refused connection.
      complaints.splice(0, complaints.length, ...complaints.filter((one) => !/WebSocket/.test(one)));
    }));
});

/** Resolves when the session has printed this text on standard error. */
async function printed({ session, errorOutput }: Served, text: string): Promise<void> {
  while (!errorOutput().includes(text)) await once(session.child.stderr, 'data');
}
