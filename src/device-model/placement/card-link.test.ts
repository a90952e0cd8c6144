import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CardLink } from './card-link.js';

const ALLOWED = { isBusMaster: true, hasMessages: true, isMsixEnabled: true };

/** Both ends, and what the function has received. */
function linked(): { readonly fn: CardLink; readonly card: CardLink; readonly received: () => string[] } {
  const fn = new CardLink();
  return {
    fn,
    card: new CardLink(fn.buffer),
    received: () => {
      const all: string[] = [];
      fn.deliver({
        setLevel: (high) => all.push(high ? 'high' : 'low'),
        message: (vector) => all.push(`message ${vector}`),
        aborted: () => all.push('aborted'),
      });
      return all;
    },
  };
}

test('messages arrive once, whatever their number', () => {
  const { card, received } = linked();
  for (const vector of [0, 31, 32, 2047, 32]) card.postMessage(vector);
  assert.deepEqual(received(), ['message 0', 'message 31', 'message 32', 'message 2047']);
  assert.deepEqual(received(), []);
});

test('the pin has its level and its edges, also those of a pulse', () => {
  const { card, received } = linked();
  card.setLevel(true);
  card.setLevel(true);
  assert.deepEqual(received(), ['high']);
  assert.deepEqual(received(), []);
  card.setLevel(false);
  assert.deepEqual(received(), ['low']);
  card.setLevel(true);
  card.setLevel(false);
  assert.deepEqual(received(), ['high', 'low']);
  card.setLevel(true);
  received();
  card.setLevel(false);
  card.setLevel(true);
  assert.deepEqual(received(), ['low', 'high']);
});

test('the card may do what the guest allows, and what it did in vain is counted', () => {
  const { fn, card, received } = linked();
  assert.deepEqual([card.isBusMaster, card.hasMessages, card.isMsixEnabled], [false, false, false]);
  fn.setState({ isBusMaster: true, hasMessages: true, isMsixEnabled: false });
  assert.deepEqual([card.isBusMaster, card.hasMessages, card.isMsixEnabled], [true, true, false]);
  card.abort();
  card.countRefused();
  assert.deepEqual([received(), fn.refusedDma], [['aborted'], 1]);
});

test('from a reset until the card has taken it, nothing of the card has an effect', () => {
  const { fn, card, received } = linked();
  fn.setState(ALLOWED);
  card.setLevel(true);
  card.postMessage(1);
  card.abort();
  fn.beginEpoch();
  fn.setState(ALLOWED);
  assert.deepEqual([card.isBusMaster, card.hasMessages, card.isMsixEnabled], [false, false, false]);
  card.setLevel(false);
  card.setLevel(true);
  card.postMessage(2);
  card.abort();
  assert.deepEqual(
    received().filter((one) => one !== 'message 1'),
    [],
  );
  card.takeEpoch();
  assert.equal(card.isBusMaster, true);
  assert.deepEqual(received(), []);
  card.setLevel(true);
  card.postMessage(2);
  assert.deepEqual(received(), ['high', 'message 2']);
});

test('doorbells are taken once, and a reset makes them void', () => {
  const { fn, card } = linked();
  const rung: number[] = [];
  for (const doorbell of [0, 33, 63, 33]) fn.ring(doorbell);
  card.takeRung((doorbell) => rung.push(doorbell));
  card.takeRung((doorbell) => rung.push(doorbell));
  fn.ring(5);
  fn.beginEpoch();
  card.takeRung((doorbell) => rung.push(doorbell));
  assert.deepEqual(rung, [0, 33, 63]);
});

test('the wait ends with a signal, and at the end', { timeout: 120_000 }, async () => {
  const { fn, card, received } = linked();
  const keepAlive = setInterval(() => undefined, 1000);
  const first = fn.wait();
  setImmediate(() => card.setLevel(true));
  assert.equal(await first, true);
  received();
  const second = fn.wait();
  setImmediate(() => fn.end());
  assert.equal(await second, false);
  clearInterval(keepAlive);
});
