import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { describe, test } from 'node:test';
import { IrqFds } from '../hsm/irqfd.js';
import { Errno } from '../io-request/errno.js';
import { LinuxEvents } from './linux-events.js';

const events = await LinuxEvents.load();
const [koffi] = ['koffi'];
const hasKoffi = await import(koffi).then(
  () => true,
  () => false,
);

test('eventfds are available exactly on Linux with koffi', (context) => {
  if (events === undefined) context.diagnostic('koffi is not installed: nothing to hold real eventfds with');
  assert.equal(events !== undefined, hasKoffi && process.platform === 'linux');
});

if (events !== undefined) {
  describe('a Linux eventfd', () => {
    test('counts signals and gives them once', () => {
      const event = events.create();
      assert.equal(event.isReadable, false);
      event.signal();
      event.signal();
      assert.equal(event.isReadable, true);
      assert.equal(event.read(), 2n);
      assert.equal(event.read(), 0n);
      event.close();
    });

    test('is found by its descriptor; others are EINVAL or EBADF', () => {
      const event = events.create();
      assert.equal(events.lookup(event.fd), event);
      assert.equal(events.lookup(openSync('/dev/null', 'r')), Errno.EINVAL);
      event.close();
      assert.equal(events.lookup(event.fd), Errno.EBADF);
      assert.equal(events.lookup(-1), Errno.EBADF);
    });

    test('a signal through the event injects an interrupt', async () => {
      const event = events.create();
      const injected = await new Promise<number>((resolve) => {
        const irqs = new IrqFds(({ data }) => {
          irqs.close();
          resolve(data);
        });
        irqs.assign(event, { address: 0xfee0_0000, data: 0x41 });
        // The poll does not keep the process alive; the test does until it is through.
        const alive = setInterval(() => undefined, 1000);
        event.onClose(() => clearInterval(alive));
        event.signal();
      });
      assert.equal(injected, 0x41);
      event.close();
    });
  });
}
