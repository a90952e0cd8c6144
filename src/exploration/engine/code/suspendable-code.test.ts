import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileFunction } from 'node:vm';
import { OperationKind, type Operation } from '../machine/operation.js';
import { Runtime } from '../machine/runtime.js';
import { ThreadLife } from '../machine/thread-life.js';
import { gettersOf, lowerModule } from './lowered-module.js';
import { loadCompiler } from '../compiler.js';
import { rewriteModule } from './suspendable-code.js';

const ts = loadCompiler();

/** Runs `main` of a module, rewritten; `resultOf` decides what each operation gives. */
function run(
  text: string,
  resultOf: (operation: Operation) => number = () => 0,
): { value: unknown; operations: Operation[] } {
  const runtime = new Runtime();
  const exports: Record<string, unknown> = {};
  const lowered = lowerModule(ts, 'sample.js', text);
  const rewritten = rewriteModule({ ts, name: 'sample', text: lowered, getters: new Set(gettersOf(ts, lowered)) });
  const life = new ThreadLife(
    0,
    (fn, self, values) => runtime.invoke(fn, self, values),
    (fn, values) => runtime.callNow(fn, values),
  );
  runtime.life = life;
  const parameters = ['exports', 'require', '$', ...Object.keys(runtime.globals)];
  const evaluate = compileFunction(rewritten, parameters) as (...values: unknown[]) => void;
  evaluate(exports, undefined, runtime, ...Object.values(runtime.globals));
  let value: unknown;
  const end = (result: unknown): void => {
    value = result;
  };
  const operations: Operation[] = [];
  const living = life.live(exports['main'], [end]);
  for (let operation = living.next(0).value; operation.kind !== OperationKind.DONE;) {
    if (operation.kind === OperationKind.CRASH) throw new Error(operation.names[0]);
    operations.push(operation);
    operation = living.next(resultOf(operation)).value;
  }
  return { value, operations };
}

/** The result of `main` as ordinary code. */
function runNatively(text: string): unknown {
  let value: unknown;
  const evaluate = compileFunction(`${text.replace('export function main', 'function main')}\nmain(end);`, ['end']) as (
    end: (result: unknown) => void,
  ) => void;
  evaluate((result: unknown) => {
    value = result;
  });
  return value;
}

const WORDS = 'const words = new Int32Array(new SharedArrayBuffer(16));';

describe('rewritten code computes what the code computes', () => {
  const samples: Record<string, string> = {
    'calls, defaults and closures': `
      export function main(end) {
        const add = (a, b = 2) => a + b;
        const twice = (fn) => (x) => fn(fn(x));
        end([add(1), twice(add)(3), [1, 2, 3].map((x) => add(x)), Math.max(...[4, 9])]);
      }`,
    'classes with private members, getters, setters and this in arrows': `
      class Counter {
        #count = 1;
        #names = ['a'];
        static make() { return new Counter(); }
        get count() { return this.#count; }
        set count(value) { this.#count = value; }
        #add = (by) => { this.#count += this.#twice(by); };
        #twice(x) { return 2 * x; }
        add(...list) { for (const by of list) this.#add(by); return this; }
        each(fn) { this.#names.forEach((name) => fn(() => this.#count + name)); }
      }
      export function main(end) {
        const counter = Counter.make().add(1, 2, 3);
        const before = counter.count;
        counter.count = 5;
        const { count } = counter;
        const seen = [];
        counter.each((fn) => seen.push(fn()));
        end([before, count, seen]);
      }`,
    'loops, branches and exceptions': `
      export function main(end) {
        const seen = [];
        const get = (x) => { if (x === 3) throw new RangeError('three'); return x; };
        for (let i = 0; i < get(9); i += get(1)) {
          if (i === 1 || get(9) < i) continue;
          try { seen.push(get(i)); } catch (error) { seen.push(error.message); break; } finally { seen.push('.'); }
        }
        let n = 0;
        do n += get(2); while (get(n) < 6 && n !== 4);
        switch (get(n)) { case 4: seen.push('four'); break; default: seen.push('other'); }
        end([seen, n, [1, 2, 4].find((x) => get(x) > 1), [5].every((x) => get(x) > 9), Array.from([7], (x) => get(x))]);
      }`,
    'a callback of an array that throws': `
      export function main(end) {
        const get = (x) => { if (x === 3) throw new RangeError('three'); return x; };
        const seen = [];
        try { [1, 2, 3, 4].forEach((x) => seen.push(get(x))); } catch (error) { seen.push(error.message); }
        end(seen);
      }`,
    'call and apply of functions that may stop': `
      export function main(end) {
        const box = { by: 2, times(...list) { return Math.max(...list) * this.by; } };
        const other = { by: 5 };
        end([box.times.call(other, 1, 2), box.times.apply(other, [3, 4]), box.times.apply(box)]);
      }`,
    'a call of what is not a function': `
      export function main(end) {
        const missing = [];
        try { missing[0](); } catch (error) { end(error instanceof TypeError); }
      }`,
    'optional chains and missing properties': `
      export function main(end) {
        const box = { get: (x) => x, none: undefined };
        end([box.get?.(1), box.none?.(2), box.none?.deep.deeper, box.none ?? box.get(3), box?.['get'](4)]);
      }`,
  };
  for (const [name, text] of Object.entries(samples))
    test(name, () => assert.deepEqual(run(text).value, runNatively(text)));
});

describe('rewritten code stops at each access to shared words', () => {
  test('with the operation, the word and the values, and goes on with the result', () => {
    const { value, operations } = run(
      `export function main(end) { ${WORDS}
        words[1] = 7;
        const old = Atomics.add(words, 2, 3);
        end([old, words[0], Atomics.compareExchange(words, 3, 1, 2)]);
      }`,
      ({ kind }) => kind * 10,
    );
    assert.deepEqual(
      operations.map(({ kind, buffer, index, value: v, other }) => [kind, buffer, index, v, other]),
      [
        [OperationKind.WRITE, 0, 1, 7, 0],
        [OperationKind.ADD, 0, 2, 3, 0],
        [OperationKind.READ, 0, 0, 0, 0],
        [OperationKind.COMPARE_EXCHANGE, 0, 3, 1, 2],
      ],
    );
    assert.deepEqual(value, [40, 0, 80]);
  });

  test('in a getter, a callback of an array, a method of an object and a loop’s condition', () => {
    const { value, operations } = run(
      `class Word { constructor(words) { this.words = words; } get now() { return Atomics.load(this.words, 0); } }
      export function main(end) { ${WORDS}
        const word = new Word(words);
        let polls = 0;
        const box = { peek() { return Atomics.load(words, 1); } };
        while (word.now !== 3) polls++;
        end([polls, [1, 2].some(() => word.now === 4), box.peek()]);
      }`,
      (() => {
        let count = 0;
        return () => ++count;
      })(),
    );
    assert.deepEqual(value, [2, true, 5]);
    assert.deepEqual(
      operations.map(({ index }) => index),
      [0, 0, 0, 0, 1],
    );
  });

  test('a stop in a constructor is an error', () => {
    const text = `class Bad { constructor(words) { Atomics.store(words, 0, 1); } }
      export function main() { ${WORDS} new Bad(words); }`;
    assert.throws(() => run(text), /touches shared memory where a thread cannot stop/);
  });

  test('a stop in a callback of native code is an error', () => {
    const text = `export function main() { ${WORDS} [2, 1].sort(() => Atomics.load(words, 0)); }`;
    assert.throws(() => run(text), /sort is native and calls rewritten code/);
  });
});

describe('an event loop', () => {
  test('runs reactions in order, and lets the search choose the next task', () => {
    const { value, operations } = run(
      `export function main(end) {
        const order = [];
        const later = (name) => new Promise((resolve) => setTimeout(() => resolve(name), 1));
        const work = async (name) => { order.push(await later(name)); order.push(await name); if (order.length === 4) end(order); };
        void work('a');
        void work('b');
        order.push(); // nothing
      }`,
      // Always the last of the waiting tasks.
      ({ names }) => names.length - 1,
    );
    assert.deepEqual(value, ['b', 'b', 'a', 'a']);
    assert.deepEqual(
      operations.map(({ names }) => names),
      [['timer', 'timer'], ['timer']],
    );
  });

  test('an unhandled rejection ends the thread', () => {
    assert.throws(() => run(`export function main() { void (async () => { throw new Error('lost'); })(); }`), /lost/);
  });

  test('a timer without a time fires', () => {
    const { value } = run(`export function main(end) { setTimeout(() => end('fired')); }`);
    assert.equal(value, 'fired');
  });

  test('a timer that is a safety net never fires', () => {
    const { operations } = run(`export function main() { setTimeout(() => undefined, 5000); }`);
    assert.deepEqual(operations, []);
  });
});
