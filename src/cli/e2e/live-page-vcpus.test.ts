/** The live page of a VM with many vCPUs, which the program of a library's user serves. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openLivePage } from '../../dashboard/open-live-page.js';
import { ScriptedHypervisor } from '../../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { findChromium, launch, openPage, whyNoPage, WINDOW_SIZES } from './page-browser.js';
import { MAIN, start } from './upcall-process.js';

/** The vCPUs of which a part is outside of their box or of the window. */
const CUT = `(() => {
  const { top, bottom, left, right } = document.querySelector('.box.user-vm').getBoundingClientRect();
  return [...document.querySelectorAll('.vcpu')].filter((one) => {
    const place = one.getBoundingClientRect();
    const isInside = place.top >= top && place.bottom <= bottom && place.left >= left && place.right <= right;
    return !isInside || place.bottom > innerHeight || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0;
  }).map((one) => one.textContent);
})()`;

describe('the page of a VM', { skip: whyNoPage() }, () => {
  for (const vcpus of [1, 4, 16])
    test(`shows all of ${vcpus} vCPUs at every size`, async () => {
      const serviceVm = new ServiceVm(new ScriptedHypervisor(Array.from({ length: vcpus }, () => ({ steps: [] }))));
      const browser = await launch(findChromium() ?? '');
      try {
        const vm = await serviceVm.createUserVm({ name: 'many', memoryMiB: 1, vcpus });
        const { address } = await openLivePage(vm);
        const { page, complaints } = await openPage(browser, { address });
        await page
          .locator('.vcpu')
          .nth(vcpus - 1)
          .waitFor();
        assert.equal(await page.locator('.vcpu').count(), vcpus);
        await page.getByLabel('vCPU 15: running').waitFor({ state: vcpus === 16 ? 'visible' : 'detached' });
        for (const [width, height] of WINDOW_SIZES) {
          await page.setViewportSize({ width, height });
          assert.deepEqual(await page.evaluate(CUT), [], `${width}`);
        }
        assert.deepEqual(complaints, []);
      } finally {
        await browser.close();
        await serviceVm.close();
      }
    });

  test('of a served card says what its slots are, and names no vCPU', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-served-page-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const copier = fileURLToPath(new URL('../../../examples/devices/copier.js', import.meta.url));
    const options = ['--vfio-user', join(folder, 'card.sock'), '--device', `${copier}@pci`, '--page'];
    const serving = start(process.execPath, [MAIN, 'serve', ...options]);
    let stderr = '';
    serving.child.stderr.on('data', (bytes) => (stderr += String(bytes)));
    let address: string | undefined;
    while ((address = /live page is at (\S+)/.exec(stderr)?.[1]) === undefined)
      await once(serving.child.stderr, 'data');
    const browser = await launch(findChromium() ?? '');
    try {
      const { page, complaints } = await openPage(browser, { address });
      await page.getByText('Its messages name no vCPU').waitFor();
      assert.equal(await page.locator('.vcpu').count(), 0);
      assert.deepEqual(complaints, []);
    } finally {
      await browser.close();
      serving.child.kill('SIGINT');
    }
    assert.equal((await serving.ended).status, 0);
  });
});
