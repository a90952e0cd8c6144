/** Requests that a page holds, after that page has left. Time passes only when a test says so. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { describeEvent, type UserVmEvent } from '../vm/user-vm-events.js';
import { withBench, type LiveBench, type LiveBenchOptions } from './fixtures/live-bench.js';
import type { PageClient } from './fixtures/page-client.js';
import { DEFAULT_RELEASE_MS, RETURN_MS } from './protocol.js';

const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });
const SCRIPT = { steps: [read(0x500), read(0x501)] };
/** Longer than any time limit of the page. */
const LONG_MS = 10 * DEFAULT_RELEASE_MS;

interface Leaving extends LiveBench {
  readonly events: UserVmEvent[];
  /** Lets time pass until the event is emitted. */
  readonly emitted: (kind: UserVmEvent['kind']) => Promise<void>;
  /** Resolves when the server has noticed how many pages are open. */
  readonly pass: (ms: number) => Promise<void>;
  /** Holds the guest's second read by a breakpoint of the page. */
  readonly holdRead: (page: PageClient) => Promise<void>;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function withLeaving(work: (bench: Leaving) => Promise<void>, options: LiveBenchOptions = {}): Promise<void> {
  const timing = new FakeTiming();
  await withBench(
    SCRIPT,
    async (bench) => {
      const events: UserVmEvent[] = [];
      bench.vm.onEvent((event) => events.push(event));
      await work({
        ...bench,
        events,
        emitted: async (kind) => {
          while (!events.some((event) => event.kind === kind)) {
            await turn();
            timing.pass(100);
          }
        },
        pass: async (ms) => {
          for (let passed = 0; passed < ms; passed += 100) {
            timing.pass(100);
            await turn();
          }
        },
        holdRead: async (page) => {
          await page.send({ kind: 'break', id: 1, breakpoint: { at: 'complete', first: '0x501' } });
          await page.message('done');
          await bench.vm.start();
          await page.message('stops', ({ stops }) => stops.length > 0);
        },
      });
    },
    { ...options, timing },
  );
}

describe('a held request', { timeout: 60_000 }, () => {
  test('whose last page leaves is reported and released, and the next page gets the event', async () => {
    await withLeaving(async ({ vm, values, page, events, emitted, holdRead }) => {
      const [first, second] = [await page(), await page()];
      await holdRead(first);
      first.close();
      await first.closed;
      second.close();
      await emitted('hold-abandoned');
      assert.deepEqual(
        events.map((event) => describeEvent(event)),
        [
          'no page is open while "read port 0x501/1 = 0xff" of vCPU 0 is held before COMPLETE by breakpoint 1; ' +
            'the guest continues in 60 s',
        ],
      );
      assert.equal(vm.debugger.stops.length, 1);
      await emitted('hold-released');
      await vm.ended;
      assert.deepEqual((await values)[0]?.values, [0xffn, 0xffn]);
      assert.deepEqual(vm.debugger.breakpoints, []);
      const { text } = await (await page()).message('event');
      assert.equal(text, 'no page was opened for 60 s: the guest continues, without the breakpoints of the page (1)');
    });
  });

  test('stays held if a page returns in time, and no event says otherwise', async () => {
    await withLeaving(async ({ vm, page, events, emitted, holdRead }) => {
      const first = await page();
      await holdRead(first);
      first.close();
      await emitted('hold-abandoned');
      const second = await page();
      await emitted('hold-resumed');
      assert.equal(vm.debugger.stops.length, 1);
      await second.send({ kind: 'go', id: 2, vcpu: 0 });
      await vm.ended;
      assert.deepEqual(
        events.map(({ kind }) => kind).filter((kind) => kind.startsWith('hold-')),
        ['hold-abandoned', 'hold-resumed'],
      );
    });
  });

  test('stays held if a page wants it to, until a page continues it', async () => {
    await withLeaving(async ({ vm, page, events, emitted, pass, holdRead }) => {
      const first = await page();
      await first.send({ kind: 'keep-held', id: 9, keep: true });
      assert.equal((await first.message('stops', ({ keepsHeld }) => keepsHeld)).releaseMs, DEFAULT_RELEASE_MS);
      await holdRead(first);
      first.close();
      await emitted('hold-abandoned');
      assert.match(describeEvent(events[0] as UserVmEvent), /breakpoint 1; it stays held until a page continues it$/);
      await pass(LONG_MS);
      assert.equal(vm.debugger.stops.length, 1);
      const second = await page();
      assert.equal((await second.message('stops')).keepsHeld, true);
      await second.send({ kind: 'go', id: 2, vcpu: 0 });
      await vm.ended;
    });
  });

  test('stays held with a release time of Infinity, unless a page wants it to be released', async () => {
    await withLeaving(
      async ({ page, events, emitted, holdRead }) => {
        const first = await page();
        await holdRead(first);
        first.close();
        await emitted('hold-abandoned');
        assert.match(describeEvent(events[0] as UserVmEvent), /stays held/);
        const second = await page();
        await second.send({ kind: 'keep-held', id: 2, keep: false });
        await second.message('done');
        second.close();
        await emitted('hold-released');
      },
      { releaseMs: Infinity },
    );
  });

  test('is reported too if it is held after the last page has left', async () => {
    await withLeaving(async ({ vm, page, emitted }) => {
      const first = await page();
      await first.send({ kind: 'hold-all', id: 1, pending: true, complete: false });
      await first.message('done');
      first.close();
      await first.closed;
      await vm.start();
      await emitted('hold-abandoned');
      await emitted('hold-released');
      await vm.ended;
      assert.deepEqual(vm.debugger.holdAll, { pending: false, complete: false });
    });
  });

  test('is reported if the network of the last page is lost', async () => {
    await withLeaving(async ({ page, emitted, holdRead }) => {
      const first = await page();
      await holdRead(first);
      first.pause();
      await emitted('hold-abandoned');
      first.resume();
      assert.equal(await first.closed, 1006);
    });
  });

  test('of a program is not a page’s to release', async () => {
    await withLeaving(async ({ vm, page, events, pass }) => {
      vm.debugger.add({ at: 'pending', address: { from: 0x500, to: 0x500 } });
      const first = await page();
      await first.send({ kind: 'break', id: 1, breakpoint: { at: 'pending', first: '0x600' } });
      await first.message('done');
      await vm.start();
      await first.message('stops', ({ stops }) => stops.length > 0);
      first.close();
      await first.closed;
      await pass(RETURN_MS + LONG_MS);
      assert.deepEqual(events, []);
      assert.deepEqual([vm.debugger.stops.length, vm.debugger.breakpoints.length], [1, 2]);
    });
  });
});
