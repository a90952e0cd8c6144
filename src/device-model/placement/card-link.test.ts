import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOORBELL_WORDS } from '../../sync/doorbell.js';
import { SharedWords } from '../../sync/shared-words.js';
import { CardLink, MAX_LINKED_DOORBELLS } from './card-link.js';

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

test('each message arrives also by itself', () => {
  const { card, received } = linked();
  for (const vector of [0, 1, 31, 32, 2047]) {
    card.postMessage(vector);
    assert.deepEqual(received(), [`message ${vector}`]);
  }
});

test('the pin has its level and its edges, also those of a pulse', () => {
  const { card, received } = linked();
  card.setLevel(true);
  card.setLevel(true);
  assert.deepEqual(received(), ['high']);
  assert.deepEqual(received(), []);
  card.setLevel(true);
  assert.deepEqual(received(), [], 'it is high already');
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

test('each permission is one of its own', () => {
  const { fn, card } = linked();
  for (const allowed of [
    [true, false, false],
    [false, true, false],
    [false, false, true],
    [false, false, false],
  ] as const) {
    const [isBusMaster, hasMessages, isMsixEnabled] = allowed;
    fn.setState({ isBusMaster, hasMessages, isMsixEnabled });
    assert.deepEqual([card.isBusMaster, card.hasMessages, card.isMsixEnabled], allowed);
  }
});

test('doorbells that are rung are no messages', () => {
  const { fn, card, received } = linked();
  for (let doorbell = 0; doorbell < MAX_LINKED_DOORBELLS; doorbell++) fn.ring(doorbell);
  card.postMessage(2047);
  assert.deepEqual(received(), ['message 2047']);
  let rung = 0;
  card.takeRung(() => rung++);
  assert.equal(rung, MAX_LINKED_DOORBELLS);
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
  assert.deepEqual(received(), []);
  card.takeEpoch();
  assert.equal(card.isBusMaster, true);
  assert.deepEqual(received(), []);
  card.setLevel(true);
  card.postMessage(2);
  assert.deepEqual(received(), ['high', 'message 2']);
});

test('what a card did before its reset is not seen after it', () => {
  const { fn, card, received } = linked();
  card.setLevel(true);
  assert.deepEqual(received(), ['high']);
  // Two resets, of which the card's thread takes one late.
  fn.beginEpoch();
  card.takeEpoch();
  card.setLevel(true);
  fn.beginEpoch();
  assert.deepEqual(received(), []);
  card.takeEpoch();
  card.setLevel(false);
  assert.deepEqual(received(), [], 'a rise of the former epoch is forgotten');
  card.setLevel(true);
  assert.deepEqual(received(), ['high'], 'the function’s level was low again');
  fn.beginEpoch();
  fn.beginEpoch();
  fn.setState(ALLOWED);
  assert.equal(card.isBusMaster, false);
  card.takeEpoch();
  assert.equal(card.isBusMaster, true);
});

test('a pin that is low after any number of resets stays low', () => {
  const { fn, card, received } = linked();
  for (let reset = 1; reset <= 16; reset++) {
    fn.beginEpoch();
    card.takeEpoch();
    card.setLevel(false);
    assert.deepEqual(received(), [], `reset ${reset}`);
  }
});

test('doorbells are taken once, and a reset makes them void', () => {
  const { fn, card } = linked();
  const rung: number[] = [];
  for (const doorbell of [0, 33, 63, 33]) fn.ring(doorbell);
  card.takeRung((doorbell) => rung.push(doorbell));
  card.takeRung((doorbell) => rung.push(doorbell));
  for (const doorbell of [5, 40]) fn.ring(doorbell);
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

test('each signal ends a wait, and none is left after it', { timeout: 120_000 }, async () => {
  const { fn, card, received } = linked();
  const keepAlive = setInterval(() => undefined, 1000);
  for (const signal of [() => card.postMessage(7), () => card.setLevel(true), () => card.abort()]) {
    let isOver = false;
    const wait = fn.wait().then((isSignalled) => {
      isOver = true;
      return isSignalled;
    });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    signal();
    assert.equal(await wait, true);
    assert.equal(received().length, 1);
  }
  clearInterval(keepAlive);
});

test('refused accesses are counted as a u32', () => {
  const { fn } = linked();
  const words = new SharedWords(fn.buffer);
  const card = new CardLink(fn.buffer);
  // The word of the count: behind those of the state, the pin and the abort.
  words.store(DOORBELL_WORDS + 3, -2);
  card.countRefused();
  assert.equal(fn.refusedDma, 2 ** 32 - 1);
});
