import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TracedPage } from './fixtures/traced-page.js';
import { MoveAssembler } from './move.js';
import { LINKED_EVERY, TIMED_EVERY } from './slot-recorder.js';
import { RingReader } from './ring-reader.js';
import { LANE_EVENTS } from './trace-ring.js';

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

test('of a burst each request is told whole, and one in TIMED_EVERY has all four times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = 1 + 3 * TIMED_EVERY;
  for (let answer = 0; answer < requests; answer++) page.play({ answer }, UART);
  const { words, times, values, lost } = given(reader);
  assert.equal(lost, 0);
  for (let i = 0; i < requests; i++) {
    // That the second one was near the first is known when it is PENDING.
    const isWhole = i < 2 || i % TIMED_EVERY === 0;
    const expected = REQUEST.map((to) => (isWhole || to === 'PENDING' || to === 'COMPLETE' ? to : `${to}+`));
    assert.deepEqual(words.slice(4 * i, 4 * i + 4), expected, `request ${i}`);
    assert.deepEqual(values.slice(4 * i + 2, 4 * i + 4), [i, i]);
  }
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
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
  for (let i = 0; i < 4 * LINKED_EVERY; i++) {
    // So that one is right before each request that says where it belongs.
    if (i % 5 === 4 || i % LINKED_EVERY === 0) {
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
