import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { DriverModel } from './fixtures/driver-model.js';
import { KINDS, legalCommand, seeded, stepsOf, type Step } from './fixtures/random-commands.js';
import { HsmScript } from './hsm-script.js';

const steps = stepsOf(KINDS, 120);
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

/**
 * Plays the steps on both: the script up to the first difference, and what that is. `distort` is
 * for a test of this test.
 */
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
    fc.asyncProperty(steps, async (program) => {
      const { script, difference } = await firstDifference(program);
      commands += script.length;
      for (const line of script) kinds.add(line.split(' ')[0] ?? '');
      if (difference !== undefined)
        assert.fail(`a conformance script that shows it:\n${script.join('\n')}\n\n${difference}`);
    }),
    seeded(300),
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
    fc.asyncProperty(steps, async (program) => {
      const { script, difference } = await firstDifference(program, distort);
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
