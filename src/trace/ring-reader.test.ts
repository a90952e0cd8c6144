import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import { TracedPage } from './fixtures/traced-page.js';
import { MoveAssembler } from './move.js';
import { FIRST_REQUESTS, TIMED_EVERY, TIMED_EVERY_AT_FIRST } from './burst-pace.js';
import { RingReader, type RingEvent } from './ring-reader.js';
import { eventIndex, EventWord, hypervisorLane, LANE_EVENTS, movedTo } from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const UART = { name: 'uart16550' };
const REQUEST = ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE'];

/** What a reader is given of slot 0, a word for each event: where it leads to, with a + where it has no time. */
function given(reader: RingReader): { words: string[]; times: number[]; values: number[]; lost: number } {
  const all = { words: [] as string[], times: [] as number[], values: [] as number[], lost: 0 };
  const assembler = new MoveAssembler(() => UART.name, 0);
  const after = reader.read(
    0,
    (event, lost) => {
      const { to, isTimed, timeNs, request } = assembler.assemble(event, lost);
      all.lost += lost;
      all.words.push(isTimed ? to : `${to}+`);
      all.times.push(timeNs);
      all.values.push(Number(request?.value));
    },
    true,
  );
  all.lost += after;
  return all;
}

test('of a burst each request is told whole, and one in TIMED_EVERY_AT_FIRST has all four times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = 1 + 3 * TIMED_EVERY_AT_FIRST;
  for (let answer = 0; answer < requests; answer++) page.play({ answer }, UART);
  const { words, times, values, lost } = given(reader);
  assert.equal(lost, 0);
  for (let i = 0; i < requests; i++) {
    // That the second one was near the first is known when it is PENDING.
    const isWhole = i < 2 || i % TIMED_EVERY_AT_FIRST === 0;
    const expected = REQUEST.map((to) => (isWhole || to === 'PENDING' || to === 'COMPLETE' ? to : `${to}+`));
    assert.deepEqual(words.slice(4 * i, 4 * i + 4), expected, `request ${i}`);
    assert.deepEqual(values.slice(4 * i + 2, 4 * i + 4), [i, i]);
  }
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});

test('of a slot’s later requests fewer have all times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  let whole = 0;
  for (let request = 0; request < FIRST_REQUESTS + 4 * TIMED_EVERY; request++) {
    page.play({}, UART);
    const { words } = given(reader);
    if (request >= FIRST_REQUESTS && words.join() === REQUEST.join()) whole++;
  }
  assert.equal(whole, 4);
});

test('a reader that was overtaken in a burst goes on with a request whose lanes are known to belong together', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = LANE_EVENTS + 3;
  for (let answer = 0; answer < requests; answer++) page.play({ answer, value: answer }, UART);
  const { words, values, lost } = given(reader);
  assert.equal(words.length + lost, 4 * requests);
  assert.ok(words.length > 0 && words.length % 4 === 0, `${words.length}`);
  words.forEach((word, i) => assert.equal(word.replace('+', ''), REQUEST[i % 4]));
  const first = requests - words.length / 4;
  assert.deepEqual(
    values,
    Array.from({ length: words.length }, (_, i) => first + (i >> 2)),
  );
});

test('requests that were withdrawn in a burst do not mix up those after them', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const slot = page.buffer.slot(0);
  const expected: string[] = [];
  for (let i = 0; i < TIMED_EVERY_AT_FIRST; i++) {
    if (i % 5 === 4) {
      slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
      slot.stampFree();
      expected.push('PENDING', 'FREE');
    }
    page.play({}, UART);
    expected.push(...REQUEST);
  }
  const { words, lost } = given(reader);
  assert.equal(lost, 0);
  assert.deepEqual(
    words.map((word) => word.replace('+', '')),
    expected,
  );
});

test('a request that was withdrawn in a burst has its own moves, and the next one its own', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const slot = page.buffer.slot(0);
  page.play({}, UART);
  page.play({}, UART);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  slot.stampFree();
  page.play({}, UART);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  page.trace.assigning(UART);
  slot.assign(true);
  slot.stampFree();
  page.play({}, UART);
  const { words, lost } = given(reader);
  assert.equal(lost, 0);
  assert.deepEqual(
    words.map((word) => word.replace('+', '')),
    [...REQUEST, ...REQUEST, ...['PENDING', 'FREE'], ...REQUEST, ...['PENDING', 'PROCESSING', 'FREE'], ...REQUEST],
  );
});

describe('a move to PENDING that is due in its lane', () => {
  const at = eventIndex(hypervisorLane(0), 0) + EventWord.move;
  let page: TracedPage;
  let reader: RingReader;
  let move = 0;

  /** The vCPU's thread has lost its processor right after the move; the Service VM has served the request. */
  beforeEach(() => {
    page = new TracedPage();
    page.trace.use();
    reader = new RingReader(page.ring);
    const slot = page.buffer.slot(0);
    slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
    move = page.ring.words[at] as number;
    page.ring.words[at] = 0;
    page.trace.assigning(UART);
    slot.assign(true);
    slot.complete();
  });

  const read = (isLast = false): { to: number[]; lost: number } => {
    const to: number[] = [];
    let lost = 0;
    const take = ({ words }: RingEvent, before: number): void => {
      lost += before;
      to.push(movedTo(words[EventWord.move] as number));
    };
    const after = reader.read(0, take, isLast);
    return { to, lost: lost + after };
  };

  test('is waited for: the moves that followed it come after it', () => {
    assert.deepEqual(read(), { to: [], lost: 0 });
    page.ring.words[at] = move;
    assert.deepEqual(read(), { to: [PENDING, PROCESSING, COMPLETE], lost: 0 });
  });

  test('is counted as lost with what followed it when a later one is there', () => {
    page.buffer.slot(0).release();
    assert.deepEqual(read(), { to: [FREE], lost: 3 });
    page.play({}, UART);
    assert.deepEqual(read(), { to: [PENDING, PROCESSING, COMPLETE, FREE], lost: 0 });
  });

  test('is counted as lost with what followed it when nobody writes any more', () => {
    assert.deepEqual(read(true), { to: [], lost: 3 });
  });
});
