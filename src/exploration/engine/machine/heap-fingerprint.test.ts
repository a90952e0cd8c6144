import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Frame } from './fiber.js';
import { HeapFingerprint } from './heap-fingerprint.js';
import { SharedMemory, SharedView, Unwatched } from './shared-memory.js';

const heap = new HeapFingerprint(() => undefined);
const same = (a: unknown, b: unknown): boolean => heap.take([a]) === heap.take([b]);

test('equal heaps have one fingerprint, wherever their objects lie', () => {
  const make = (): unknown => {
    const shared = {
      n: 1.5,
      text: 'x',
      list: [undefined, null, true, 7n],
      table: new Map([['k', new Uint8Array([1, 2, 3])]]),
    };
    return { first: shared, second: shared };
  };
  assert.ok(same(make(), make()));
});

test('different heaps have different fingerprints', () => {
  const pairs: [unknown, unknown][] = [
    [1, 2],
    [0, -0],
    ['1', 1],
    [undefined, null],
    [{ a: 1 }, { b: 1 }],
    [
      [1, [2]],
      [[1], 2],
    ],
    [new Int32Array([1]), new Int32Array([2])],
    [new SharedView(new SharedMemory(1, 8)), new SharedView(new SharedMemory(2, 8))],
    [new Map([[1, 2]]), new Map([[1, 3]])],
    [new Error('a'), new Error('b')],
  ];
  for (const [a, b] of pairs) assert.ok(!same(a, b), `${String(a)} and ${String(b)}`);
});

test('two references to one object are not two equal objects', () => {
  const one = { n: 1 };
  assert.ok(!same([one, one], [{ n: 1 }, { n: 1 }]));
});

test('the walk of a circle ends', () => {
  const circle: Record<string, unknown> = { n: 1 };
  circle['self'] = circle;
  assert.equal(heap.take([circle]), heap.take([circle]));
});

test('a call counts by its place and variables, statistics do not count', () => {
  const frame = (at: string, n: number): Frame => Object.assign(new Frame('f', () => []), { at, locals: () => [n] });
  assert.ok(same(frame('here', 1), frame('here', 1)));
  assert.ok(!same(frame('here', 1), frame('there', 1)));
  assert.ok(!same(frame('here', 1), frame('here', 2)));
  assert.ok(same(Unwatched.from([1]), Unwatched.from([2])));
});

test('a closure counts by where it was made and what it captured', () => {
  const origins = new WeakMap<object, { site: string; captured: () => unknown[] }>();
  const closures = new HeapFingerprint((fn) => origins.get(fn));
  const make = (site: string, n: number): object => {
    const fn = (): number => n;
    origins.set(fn, { site, captured: () => [n] });
    return fn;
  };
  assert.equal(closures.take([make('a', 1)]), closures.take([make('a', 1)]));
  assert.notEqual(closures.take([make('a', 1)]), closures.take([make('a', 2)]));
  assert.notEqual(closures.take([make('a', 1)]), closures.take([make('b', 1)]));
});
