/** The live page while a device is written: reloads are events, and a restored VM has its page. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { delay } from '../../sync/bounded-wait.js';
import { findChromium, whyNoPage } from './page-browser.js';
import { PageFixture } from './page-fixture.js';
import { MAIN, start } from './upcall-process.js';

const chromium = findChromium();
const skip = whyNoPage();

const folder = mkdtempSync(join(tmpdir(), 'upcall-page-author-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'device.ts');

/** Replaces the file at once, as an editor does. */
function save(register: string, value: number): void {
  const text = `
    export default class {
      name = 'mine';
      registers = {
        source: 'this test',
        registers: [{ offset: 0, size: 1, name: '${register}', access: 'r', meaning: 'a value' }],
      };
      read(): number { return ${value}; }
      peek(): number { return ${value}; }
      write(): void {}
    }
  `;
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

describe('a reload', { skip }, () => {
  const fixture = new PageFixture(chromium ?? '', () => ['--device', `${file}@0x500`, '--watch']);
  after(() => fixture.close());
  save('OLD', 0x11);

  test('is an event of the page, which then shows the new registers; an error is one as well', () =>
    fixture.use(async ({ page, shows, command }) => {
      await shows('monitor>');
      const registers = page.locator('.view-device table.registers');
      await page.locator('button.client', { hasText: 'mine' }).click();
      await registers.filter({ hasText: /OLD[^]*0x11/ }).waitFor();
      save('NEW', 0x22);
      await page.getByRole('tab', { name: /^Events/ }).click();
      const events = page.locator('ol.events');
      await events.filter({ hasText: /mine was reloaded in \d+ ms/ }).waitFor();
      await page.locator('button.client', { hasText: 'mine' }).click();
      await registers.filter({ hasText: /NEW[^]*0x22/ }).waitFor();
      await registers.filter({ hasText: 'OLD' }).waitFor({ state: 'detached' });
      await command('in8 500');
      await shows(/in8 500\s*0x22/);
      writeFileSync(file, 'export default 5;');
      await page.getByRole('tab', { name: /^Events/ }).click();
      await events.filter({ hasText: /mine was not reloaded, the old one stays/ }).waitFor();
      await command('in8 500; echo the old one');
      await shows(/0x22\s*the old one/);
    }));
});

describe('a restored VM', { skip }, () => {
  const snapshot = join(folder, 'vm.snap');
  const fixture = new PageFixture(chromium ?? '', () => [], snapshot);
  after(() => fixture.close());

  test('has a page with its slots, devices and console, and goes on there', async () => {
    const first = start(process.execPath, [MAIN, 'run', 'monitor', '--save', snapshot, '--save-after', 'to be saved']);
    first.child.stdin.write('echo to be saved\n');
    while (!existsSync(snapshot)) await delay(20);
    // Input that waited when the machine was saved would be in the file.
    first.child.stdin.end('poweroff\n');
    const { status, stderr } = await first.ended;
    assert.equal(status, 0, stderr);
    await fixture.use(async ({ page, shows, command }) => {
      // What the guest wrote before it was saved is not in the file.
      await command('echo and goes on');
      await shows(/echo and goes on\s*and goes on\s*monitor>/);
      await page
        .locator('[data-slot="0"]')
        .filter({ hasText: /(read|write) port 0x[0-9a-f]+/ })
        .waitFor();
      await page.locator('button.client', { hasText: 'uart16550' }).click();
      await page.locator('.view-device table.registers', { hasText: 'LCR' }).waitFor();
      await page.getByRole('tab', { name: 'Interrupts' }).click();
      await page.locator('.interrupts [data-line="4"]', { hasText: 'uart16550' }).waitFor();
    });
  });
});
