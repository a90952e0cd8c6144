import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Doorbell } from '../sync/doorbell.js';
import { OrderedPoll } from '../sync/poll.js';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_LINES, INTERRUPT_LINE_WORDS, InterruptLines, LINE_DRIVERS, LineDriver } from './interrupt-lines.js';

/** Pins of a controller that remembers, like an 8259's request register, that a pin has risen. */
class Pins {
  readonly high = new Set<number>();
  readonly risen = new Set<number>();
  readonly log: string[] = [];

  raise(line: number): void {
    this.log.push(`+${line}`);
    if (!this.high.has(line)) this.risen.add(line);
    this.high.add(line);
  }

  lower(line: number): void {
    this.log.push(`-${line}`);
    this.high.delete(line);
  }
}

function make(): { lines: InterruptLines; doorbell: Doorbell; buffer: SharedArrayBuffer } {
  const { buffer } = new SharedWords(INTERRUPT_LINE_WORDS);
  const doorbell = new Doorbell();
  return { lines: new InterruptLines(buffer, doorbell), doorbell, buffer };
}

function delivered(lines: InterruptLines): string[] {
  const pins = new Pins();
  lines.deliver(pins);
  return pins.log;
}

describe('interrupt lines', () => {
  test('a level is delivered once and holds', () => {
    const { lines } = make();
    lines.set(4, true);
    assert.equal(lines.changed, true);
    assert.deepEqual(delivered(lines), ['+4']);
    assert.equal(lines.changed, false);
    assert.deepEqual(delivered(lines), []);
    lines.set(4, true);
    assert.equal(lines.changed, false);
    lines.set(4, false);
    assert.deepEqual(delivered(lines), ['-4']);
  });

  test('a pulse that ends before the vCPU polls is not lost', () => {
    const { lines } = make();
    lines.pulse(0);
    assert.equal(lines.level(0), false);
    assert.deepEqual(delivered(lines), ['+0', '-0']);
  });

  test('several edges before the vCPU polls are one', () => {
    const { lines } = make();
    for (let i = 0; i < 5; i++) lines.pulse(8);
    assert.deepEqual(delivered(lines), ['+8', '-8']);
  });

  test('a high line that fell and rose again is an edge', () => {
    const { lines } = make();
    lines.set(9, true);
    delivered(lines);
    lines.set(9, false);
    lines.set(9, true);
    assert.deepEqual(delivered(lines), ['-9', '+9']);
  });

  test('every line works, on both sides of the bitmap words and at its sign bit', () => {
    const { lines } = make();
    for (let line = 0; line < INTERRUPT_LINES; line++) lines.set(line, true);
    assert.deepEqual(
      delivered(lines),
      Array.from({ length: INTERRUPT_LINES }, (_, line) => `+${line}`),
    );
  });

  test('a line that does not exist is ignored', () => {
    const { lines, buffer } = make();
    for (const line of [-1, 48, 49, 1e9, NaN]) lines.set(line, true);
    assert.equal(lines.changed, false);
    assert.ok(new Uint8Array(buffer).every((byte) => byte === 0));
  });

  test('after a reset of the controllers, lines that are high count as just raised and old edges are forgotten', () => {
    const { lines } = make();
    lines.set(3, true);
    lines.set(40, true);
    lines.pulse(7);
    delivered(lines);
    lines.pulse(7);
    lines.set(40, false);
    lines.resync();
    assert.deepEqual(delivered(lines), ['+3']);
  });

  test('each change rings the vCPU', async () => {
    const { lines, doorbell } = make();
    let woken = false;
    const alive = setInterval(() => undefined, 1000);
    setImmediate(() => lines.set(5, true));
    woken = await doorbell.waitAsync(new OrderedPoll(() => lines.changed), 20_000);
    clearInterval(alive);
    assert.equal(woken, true);
    assert.equal(doorbell.rings, 1);
  });

  test('the level of a pin is the OR of its outputs', () => {
    const { lines } = make();
    lines.set(5, true, LineDriver.SERVICE_VM);
    assert.deepEqual(delivered(lines), ['+5']);
    lines.set(5, true, LineDriver.HYPERCALL);
    lines.set(5, false, LineDriver.SERVICE_VM);
    assert.equal(lines.level(5), true);
    assert.equal(lines.changed, false);
    lines.set(5, false, LineDriver.HYPERCALL);
    assert.deepEqual(delivered(lines), ['-5']);
  });

  test('an output that rises while another one holds the line makes no edge, not even with a pulse', () => {
    const { lines } = make();
    lines.set(5, true, LineDriver.SERVICE_VM);
    delivered(lines);
    lines.pulse(5, LineDriver.HYPERCALL);
    assert.equal(lines.changed, false);
    assert.deepEqual(delivered(lines), []);
  });

  test('a driver that is removed has its outputs lowered, and no others', () => {
    const { lines } = make();
    const driver = lines.addDriver();
    assert.ok(driver !== undefined && driver > LineDriver.SERVICE_VM);
    for (const line of [0, 31, 32, 47]) lines.set(line, true, driver);
    lines.set(31, true, LineDriver.SERVICE_VM);
    delivered(lines);
    lines.removeDriver(driver);
    assert.deepEqual(delivered(lines), ['-0', '-32', '-47']);
  });

  test('drivers have numbers of their own, as many as a word has bits, and a free one is given again', () => {
    const { lines } = make();
    const added = Array.from({ length: LINE_DRIVERS - 2 }, () => lines.addDriver());
    assert.equal(new Set(added).size, LINE_DRIVERS - 2);
    assert.equal(lines.addDriver(), undefined);
    lines.set(7, true, LINE_DRIVERS - 1);
    assert.deepEqual(delivered(lines), ['+7']);
    lines.removeDriver(9);
    assert.equal(lines.addDriver(), 9);
  });

  const load = Object.getOwnPropertyDescriptor(SharedWords.prototype, 'load')?.value as (
    this: SharedWords,
    index: number,
  ) => number;

  describe('two drivers that change a line at once', () => {
    const mine = LineDriver.HYPERCALL;
    const other = LineDriver.SERVICE_VM;
    for (const [what, before, act, meanwhile, level, log] of [
      ['both raise it', [], true, true, true, ['+5']],
      ['one raises what the other lowers', [other], true, false, true, []],
      ['one lowers what the other raises', [mine], false, true, true, []],
      ['both lower it', [mine, other], false, false, false, ['-5']],
    ] as const)
      test(`${what}: neither change is lost, and a rise is noted once`, (t) => {
        const { lines } = make();
        for (const driver of before) lines.set(5, true, driver);
        delivered(lines);
        let isFirst = true;
        // The other driver acts between this one's load and its change.
        t.mock.method(SharedWords.prototype, 'load', function (this: SharedWords, index: number): number {
          const value = load.call(this, index);
          if (isFirst) {
            isFirst = false;
            lines.set(5, meanwhile, other);
          }
          return value;
        });
        lines.set(5, act, mine);
        t.mock.restoreAll();
        assert.equal(lines.level(5), level);
        const edges = delivered(lines);
        // A line that fell and rose in between may show it.
        if (log.length > 0 || edges.length > 0) assert.equal(edges.at(-1), level ? '+5' : '-5');
        if (log.length > 0) assert.deepEqual(edges, log);
        lines.set(5, false, mine);
        lines.set(5, false, other);
        assert.equal(lines.level(5), false);
      });

    test('two drivers are not given the same number', (t) => {
      const { lines } = make();
      let second: number | undefined;
      t.mock.method(SharedWords.prototype, 'load', function (this: SharedWords, index: number): number {
        const value = load.call(this, index);
        if (second === undefined) {
          second = -1;
          second = lines.addDriver();
        }
        return value;
      });
      const first = lines.addDriver();
      t.mock.restoreAll();
      assert.notEqual(first, second);
    });
  });

  test('rises are counted from the call on, in all threads’ views, and only those of the line itself', () => {
    const { lines, buffer } = make();
    const other = new InterruptLines(buffer, new Doorbell());
    lines.pulse(4);
    assert.deepEqual([lines.isCounting, lines.rises(4)], [false, 0]);
    lines.countRises();
    assert.equal(other.isCounting, true);
    other.pulse(4, LineDriver.SERVICE_VM);
    lines.set(4, true);
    lines.set(4, true);
    // The line is high already.
    other.pulse(4, LineDriver.SERVICE_VM);
    lines.set(4, false);
    lines.pulse(47);
    assert.deepEqual([other.rises(4), lines.rises(47), lines.rises(5)], [2, 1, 0]);
  });

  test('ends of interrupts are counted in a VM with statistics, and unknown unless the controllers report them', () => {
    const { lines } = make();
    lines.countRises();
    assert.equal(lines.ends(4), undefined);
    lines.observeEnds();
    lines.end(4);
    assert.deepEqual([lines.ends(4), lines.ends(5)], [1, 0]);
    const quiet = make().lines;
    quiet.observeEnds();
    quiet.end(4);
    assert.equal(quiet.ends(4), 0);
  });

  test('whatever is done between two deliveries, levels agree afterwards and no edge is lost', () => {
    const action = fc.tuple(fc.integer({ min: 0, max: 47 }), fc.constantFrom('high', 'low', 'pulse', 'deliver'));
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
        const { lines } = make();
        const pins = new Pins();
        const levels = new Set<number>();
        const edges = new Set<number>();
        const rise = (line: number): void => {
          if (!levels.has(line)) edges.add(line);
          levels.add(line);
        };
        for (const [line, what] of actions) {
          if (what === 'deliver') lines.deliver(pins);
          else if (what === 'pulse') {
            rise(line);
            levels.delete(line);
            lines.pulse(line);
          } else if (what === 'high') {
            rise(line);
            lines.set(line, true);
          } else {
            levels.delete(line);
            lines.set(line, false);
          }
        }
        lines.deliver(pins);
        assert.deepEqual([...pins.high].sort(), [...levels].sort());
        assert.deepEqual([...pins.risen].sort(), [...edges].sort());
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});

test('restored lines have the levels of their outputs, and only the edges that were not taken', () => {
  const original = make().lines;
  original.set(3, true);
  original.set(5, true, LineDriver.SERVICE_VM);
  original.set(40, true, LineDriver.SERVICE_VM);
  delivered(original);
  // Not taken yet: a rise, a fall, a pulse, and a fall with a rise.
  original.set(7, true, LineDriver.SERVICE_VM);
  original.set(5, false, LineDriver.SERVICE_VM);
  original.pulse(9);
  original.set(40, false, LineDriver.SERVICE_VM);
  original.set(40, true, LineDriver.SERVICE_VM);
  const restored = make().lines;
  const pins = Array.from({ length: INTERRUPT_LINES }, (_, line) => ([3, 5, 40].includes(line) ? 1 : 0));
  restored.restorePins(pins);
  // What the devices drive again.
  restored.set(7, true, LineDriver.SERVICE_VM);
  restored.set(40, true, LineDriver.SERVICE_VM);
  restored.restore(JSON.parse(JSON.stringify(original.save())));
  assert.deepEqual(
    [3, 5, 7, 9, 40].map((line) => restored.level(line)),
    [3, 5, 7, 9, 40].map((line) => original.level(line)),
  );
  assert.deepEqual(delivered(restored), delivered(original));
  assert.deepEqual(delivered(restored), []);
});
