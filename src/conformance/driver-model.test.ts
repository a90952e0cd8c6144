import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { DriverModel } from './fixtures/driver-model.js';
import { HsmScript } from './hsm-script.js';

const folder = new URL('../../conformance/driver/', import.meta.url);

/** The model first, or a wrong model would bless a wrong HSM. It has no `dump`. */
for (const name of readdirSync(folder).filter((file) => file.endsWith('.script'))) {
  test(`the model answers as Linux' driver did on ${name}`, () => {
    const model = new DriverModel();
    const read = (file: string): string[] => readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n');
    const expected = read(name.replace('.script', '.expected.jsonl')).map((line) => JSON.parse(line) as { op: string });
    let compared = 0;
    read(name).forEach((line, i) => {
      if (line.startsWith('dump')) return;
      assert.deepEqual(model.command(line), expected[i], `command ${i + 1}: ${line}`);
      compared++;
    });
    assert.ok(compared > 10);
  });
}

/** A step says what to do; which slot or client that is follows from the model's state, so that scripts stay legal when they shrink. */
interface Step {
  readonly kind: string;
  readonly pick: number;
  readonly line: string;
}

const ADDRESSES = [
  0n,
  1n,
  0x60n,
  0x3f8n,
  0xcf7n,
  0xcf8n,
  0xcf9n,
  0xcfbn,
  0xcfcn,
  0xcfen,
  0xcffn,
  0xd00n,
  0xfffen,
  0xffffn,
  0x1000n,
  0x1ffcn,
  0x1ffdn,
  0xffff_ffffn,
  0x1_0000_0cf8n,
  0x1_0000_0cfcn,
  0x1_0000_0000n,
  0xffff_ffff_ffff_f000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];
const SIZES = [1n, 2n, 4n, 8n, 0n, 3n, 0x1000n, 0xffff_ffffn, 0x1_0000_0000n, 0xffff_ffff_ffff_ffffn];

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const address = fc.oneof(fc.constantFrom(...ADDRESSES), fc.bigInt(0n, (1n << 64n) - 1n)).map(hex);
const size = fc
  .oneof({ weight: 5, arbitrary: fc.constantFrom(1n, 2n, 4n, 8n) }, { weight: 1, arbitrary: fc.constantFrom(...SIZES) })
  .map(hex);
const value = fc
  .oneof(fc.constantFrom(0n, 0x8000_1010n, 0x8312_f9a4n, 0x7fff_ffffn), fc.bigInt(0n, (1n << 64n) - 1n))
  .map(hex);
const space = fc.constantFrom('pio', 'mmio');
const range = fc.tuple(space, address, address).map((words) => words.join(' '));
const request = fc
  .tuple(
    fc.oneof({ weight: 8, arbitrary: space }, { weight: 1, arbitrary: fc.constantFrom('pcicfg', '3', '9') }),
    fc.constantFrom('r', 'w'),
    address,
    size,
    value,
    fc.constantFrom('', '', ' 1'),
  )
  .map(([type, direction, at, bytes, data, polling]) => `${type} ${direction} ${at} ${bytes} ${data}${polling}`);
const mode = fc.oneof(
  fc.constant('ok'),
  value.map((word) => `value ${word}`),
  fc.constantFrom('fail 5', 'fail 22'),
);

const KINDS: readonly (readonly [weight: number, kind: string, line: fc.Arbitrary<string>])[] = [
  [1, 'vm', fc.integer({ min: 1, max: 16 }).map(String)],
  [1, 'use', fc.constant('')],
  [
    2,
    'client',
    fc.oneof(
      fc.constant(''),
      mode.filter((words) => words !== 'ok'),
    ),
  ],
  [1, 'mode', mode],
  [2, 'default', fc.constant('')],
  [5, 'add', range],
  [1, 'del', range],
  [16, 'put', request],
  [10, 'upcall', fc.constant('')],
  [3, 'run', fc.constant('')],
  [4, 'runall', fc.constant('')],
  [3, 'value', value],
  [4, 'complete', fc.constant('')],
  [5, 'free', fc.constant('')],
  [1, 'onsleep', fc.constantFrom('run', 'none')],
  [1, 'clear', fc.constant('')],
  [1, 'clearing', fc.constantFrom('0', '1')],
  [1, 'destroy', fc.constant('')],
  [1, 'hcallfail', fc.constantFrom('-1', '0')],
  [3, 'hex', fc.constant('')],
];
const step: fc.Arbitrary<Step> = fc.oneof(
  ...KINDS.map(([weight, kind, line]) => ({
    weight,
    arbitrary: fc.record({ kind: fc.constant(kind), pick: fc.nat(1000), line }),
  })),
);

/** The step as a legal command in the model's present state; undefined where there is none. */
function legalCommand({ kind, pick, line }: Step, model: DriverModel, count: number): string | undefined {
  const choose = <T>(from: readonly T[]): T | undefined => from[pick % Math.max(from.length, 1)];
  const { clients } = model;
  const kernel = clients.filter(({ isDefault }) => !isDefault);
  const withWord = (word: number | string | undefined): string | undefined =>
    word === undefined ? undefined : `${kind} ${word} ${line}`.trimEnd();
  switch (kind) {
    case 'vm':
      return withWord(count + 1);
    case 'use':
      return withWord(choose(model.vmIds));
    case 'client':
    case 'default':
      return withWord(`c${count}`);
    case 'mode':
    case 'add':
    case 'del':
    case 'run':
      return withWord(choose(kernel)?.name);
    case 'put':
      return withWord(choose(model.slots(3)));
    case 'value':
      return withWord(choose(model.slots(2)));
    case 'free':
      return withWord(choose(model.slots(1)));
    case 'complete':
      return withWord(choose(clients.find(({ isDefault }) => isDefault)?.pending ?? []));
    case 'destroy':
      return withWord(choose(kernel.filter(({ pending }) => pending.length === 0))?.name);
    case 'hex':
      return withWord(pick % 16);
    default:
      return line === '' ? kind : `${kind} ${line}`;
  }
}

/** Plays the steps on both: the script up to the first difference, and what that is. `distort` is for a test of this test. */
async function firstDifference(
  steps: readonly Step[],
  distort = (answer: object): object => answer,
): Promise<{ script: string[]; difference?: string }> {
  const model = new DriverModel();
  const hsm = new HsmScript();
  const script: string[] = [];
  for (const one of [{ kind: 'vm', pick: 0, line: '4' }, ...steps]) {
    const command = script.length === 0 ? 'vm 1 4' : legalCommand(one, model, script.length);
    if (command === undefined) continue;
    script.push(command);
    const expected = model.command(command);
    const actual = distort(JSON.parse(JSON.stringify(await hsm.command(command))) as object);
    try {
      assert.deepEqual(actual, expected);
    } catch (error) {
      return { script, difference: (error as Error).message };
    }
  }
  return { script };
}

test('random scripts: the HSM answers as the model of the driver does', async () => {
  let commands = 0;
  const kinds = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }), async (steps) => {
      const { script, difference } = await firstDifference(steps);
      commands += script.length;
      for (const line of script) kinds.add(line.split(' ')[0] ?? '');
      assert.equal(
        difference,
        undefined,
        `a conformance script that shows it:\n${script.join('\n')}\n\n${String(difference)}`,
      );
    }),
    { numRuns: 300 },
  );
  assert.ok(commands > 5000, `${commands} commands`);
  assert.equal(kinds.size, KINDS.length);
});

test('a difference is shown as a short conformance script', async () => {
  const distort = (answer: object): object =>
    'op' in answer && answer.op === 'upcall' && 'states' in answer && JSON.stringify(answer.states).includes('2')
      ? { ...answer, ret: -1 }
      : answer;
  const details = await fc.check(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }), async (steps) => {
      const { script, difference } = await firstDifference(steps, distort);
      assert.equal(difference, undefined, script.join('\n'));
    }),
    { seed: 1 },
  );
  assert.equal(details.failed, true);
  const { script } = await firstDifference(details.counterexample?.[0] ?? [], distort);
  const ops = script.map((line) => line.split(' ')[0]);
  for (const op of ['vm', 'put', 'upcall']) assert.ok(ops.includes(op), script.join('\n'));
  assert.ok(script.length <= 12, script.join('\n'));
  // What is printed can be played as it is.
  const replay = new HsmScript();
  for (const line of script) assert.ok((await replay.command(line)) !== undefined);
});
