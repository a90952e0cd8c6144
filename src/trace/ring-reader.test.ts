import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import { TracedPage } from './fixtures/traced-page.js';
import { MoveAssembler } from './move-assembler.js';
import { FIRST_REQUESTS, TIMED_EVERY, TIMED_EVERY_AT_FIRST } from './timestamp-sampling.js';
import { RingReader, type RingEntry } from './ring-reader.js';
import { entryIndex, EntryWord, hypervisorLane, LANE_ENTRIES, movedTo, publishedIndex } from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const UART = { name: 'uart16550' };
const REQUEST = ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE'];

/**
 * The entries of slot 0 that a reader gives, a word for each: the state it leads to, with a + if it
 * has no time.
 */
function given(reader: RingReader): { words: string[]; times: number[]; values: number[]; lost: number } {
  const all = { words: [] as string[], times: [] as number[], values: [] as number[], lost: 0 };
  const assembler = new MoveAssembler(() => UART.name, 0);
  const after = reader.read(
    0,
    (entry, lost) => {
      const { to, isTimed, timeNs, request } = assembler.assemble(entry, lost);
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

test('each request of a burst has its four moves, and one in TIMED_EVERY_AT_FIRST has all four times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = 1 + 3 * TIMED_EVERY_AT_FIRST;
  for (let answer = 0; answer < requests; answer++) page.play({ answer }, UART);
  const { words, times, values, lost } = given(reader);
  assert.equal(lost, 0);
  for (let i = 0; i < requests; i++) {
    // The second one is known to be part of a burst when it is PENDING.
    const isFull = i < 2 || i % TIMED_EVERY_AT_FIRST === 0;
    const expected = REQUEST.map((to) => (isFull || to === 'PENDING' || to === 'COMPLETE' ? to : `${to}+`));
    assert.deepEqual(words.slice(4 * i, 4 * i + 4), expected, `request ${i}`);
    assert.deepEqual(values.slice(4 * i + 2, 4 * i + 4), [i, i]);
  }
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});

test('fewer of a slot’s later requests have all times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  let full = 0;
  for (let request = 0; request < FIRST_REQUESTS + 4 * TIMED_EVERY; request++) {
    page.play({}, UART);
    const { words } = given(reader);
    if (request >= FIRST_REQUESTS && words.join() === REQUEST.join()) full++;
  }
  assert.equal(full, 4);
});

test('a reader that was overtaken in a burst goes on with a complete request', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = LANE_ENTRIES + 3;
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

test('requests that were withdrawn in a burst leave the moves of later ones in order', () => {
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

test('a request that was withdrawn in a burst and the next one each have their own moves', () => {
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

describe('an entry of PENDING that is due', () => {
  const at = entryIndex(hypervisorLane(0), 0) + EntryWord.move;
  const published = publishedIndex(hypervisorLane(0));
  let page: TracedPage;
  let reader: RingReader;
  let move = 0;

  /**
   * The vCPU's thread was preempted right after the move. The Service VM has served the request.
   */
  beforeEach(() => {
    page = new TracedPage();
    page.trace.use();
    reader = new RingReader(page.ring);
    const slot = page.buffer.slot(0);
    slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
    move = page.ring.words[at] as number;
    page.ring.words[at] = 0;
    page.ring.words[published] = 0;
    page.trace.assigning(UART);
    slot.assign(true);
    slot.complete();
  });

  const read = (isLast = false): { to: number[]; lost: number } => {
    const to: number[] = [];
    let lost = 0;
    const take = ({ words }: RingEntry, before: number): void => {
      lost += before;
      to.push(movedTo(words[EntryWord.move] as number));
    };
    const after = reader.read(0, take, isLast);
    return { to, lost: lost + after };
  };

  test('holds back the moves that followed it until it is written', () => {
    assert.deepEqual(read(), { to: [], lost: 0 });
    page.ring.words[at] = move;
    page.ring.words[published] = 1;
    assert.deepEqual(read(), { to: [PENDING, PROCESSING, COMPLETE], lost: 0 });
  });

  test('is counted as lost with the moves that followed it when a later entry is published', () => {
    page.buffer.slot(0).release();
    assert.deepEqual(read(), { to: [FREE], lost: 3 });
    page.play({}, UART);
    assert.deepEqual(read(), { to: [PENDING, PROCESSING, COMPLETE, FREE], lost: 0 });
  });

  test('is counted as lost with the moves that followed it at the end of the trace', () => {
    assert.deepEqual(read(true), { to: [], lost: 3 });
  });
});
