import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalEvent, MAX_LISTENERS } from './event-object.js';

test('a read returns the number of signals and resets it', () => {
  const event = new LocalEvent();
  event.signal();
  event.signal();
  assert.equal(event.isReadable, true);
  assert.equal(event.read(), 2n);
  assert.equal(event.read(), 0n);
  assert.equal(event.isReadable, false);
});

test('the same function may listen twice, and each listener is removed separately', () => {
  const event = new LocalEvent();
  let calls = 0;
  const listener = (): void => {
    calls++;
  };
  const end = event.onSignal(listener);
  event.onSignal(listener);
  end();
  event.signal();
  assert.equal(calls, 1);
});

test('a listener that another one removes is not called any more', () => {
  const event = new LocalEvent();
  const called: string[] = [];
  let remove: () => void = () => undefined;
  event.onSignal(() => {
    called.push('first');
    remove();
  });
  remove = event.onSignal(() => called.push('second'));
  event.signal();
  assert.deepEqual(called, ['first']);
});

test('closing calls each listener once', () => {
  const event = new LocalEvent();
  let closed = 0;
  event.onClose(() => {
    closed++;
    event.close();
  });
  event.close();
  event.close();
  assert.equal(closed, 1);
});

test('a closed event calls no listener, and has forgotten its listeners', () => {
  const event = new LocalEvent();
  let calls = 0;
  for (let i = 0; i < MAX_LISTENERS; i++) {
    event.onSignal(() => calls++);
    event.onClose(() => undefined);
  }
  event.close();
  event.signal();
  assert.equal(calls, 0);
  event.onSignal(() => undefined);
  event.onClose(() => undefined);
});

test('the number of listeners is limited', () => {
  const event = new LocalEvent();
  for (let i = 0; i < 1024; i++) event.onSignal(() => undefined);
  assert.throws(() => event.onSignal(() => undefined), RangeError);
});
