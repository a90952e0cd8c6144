import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { describe as describeRequest } from '../io-request/io-request.js';
import { BlockCoverage } from './block-coverage.js';
import { runCampaign } from './campaign.js';
import { addToCorpus, readCorpus } from './corpus.js';
import { FuzzInput } from './fuzz-input.js';
import { within, Violation, type FuzzTarget } from './fuzz-target.js';
import { mutate, seededChance } from './mutator.js';
import { MachineBench } from './targets/machine-bench.js';
import { MachineProgram } from './targets/machine-program.js';
import { GUEST_MODES, type GuestMode } from './targets/guest-modes.js';

/** A target with a bug: 7 somewhere before 9. */
function buggy(run: (bytes: Uint8Array) => void | Promise<void>): FuzzTarget {
  return {
    name: 'buggy',
    about: 'a test',
    maxBytes: 64,
    open: () => Promise.resolve({ run, close: () => undefined }),
  };
}

test('a campaign finds a planted bug and shrinks its input to the minimum', async () => {
  const target = buggy((bytes) => {
    const seven = bytes.indexOf(7);
    if (seven >= 0 && bytes.indexOf(9, seven) >= 0) throw new Violation('7 before 9');
  });
  const found: Uint8Array[] = [];
  const { finding } = await runCampaign({
    target,
    corpus: [],
    seed: 1,
    maxInputs: 20_000,
    onProgress: (report) => report.finding !== undefined && found.push(report.finding.input),
  });
  assert.match(finding?.message ?? '', /7 before 9/);
  assert.deepEqual([...(finding?.input ?? [])], [7, 9]);
  assert.equal(found.length, 1, 'progress with the finding comes once, before it is shrunk');
  assert.ok((found[0]?.length ?? 0) > 2, 'as it was found');
});

test('an unhandled rejection is a finding', () => {
  // In a process of its own: the test runner takes such an error for a failure of the test.
  const program = `
    import { Player } from ${JSON.stringify(import.meta.resolve('./player.js'))};
    const run = () => void Promise.reject(new Error('not awaited'));
    const player = new Player({ open: () => Promise.resolve({ run, close: () => undefined }) });
    await player.play(new Uint8Array(1));
    console.log(await player.close());`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.match(output, /uncaught: Error: not awaited/);
});

test('the same seed generates the same inputs within the limit', () => {
  const inputs = (seed: number): string[] => {
    const chance = seededChance(seed);
    const kept: Uint8Array[] = [];
    for (let count = 0; count < 200; count++) kept.push(mutate(kept, chance, 40));
    assert.ok(kept.every(({ length }) => length <= 40));
    return kept.map((bytes) => bytes.join(' '));
  };
  assert.deepEqual(inputs(3), inputs(3));
  assert.notDeepEqual(inputs(3), inputs(4));
});

test('an input reads as zeros beyond its end', () => {
  const input = new FuzzInput(Uint8Array.of(1, 2, 3, 4, 5));
  assert.deepEqual([input.u32(), input.isEmpty, input.u8(), input.isEmpty], [0x0403_0201, false, 5, true]);
  assert.deepEqual([input.u32(), input.pick(['a', 'b']), [...input.rest()]], [0, 'a', []]);
});

test('coverage counts code only when it is first reached', () => {
  const coverage = new BlockCoverage((url) => url.endsWith('/io-request.js'));
  try {
    const port = { type: 'port', direction: 'read', address: 1, size: 1, value: 0 } as const;
    describeRequest(port);
    assert.ok(coverage.take() > 0);
    describeRequest(port);
    assert.equal(coverage.take(), 0);
    describeRequest({ type: 'pci', direction: 'read', bus: 0, device: 0, function: 0, register: 0, size: 1, value: 0 });
    assert.ok(coverage.take() > 0, 'the branch for PCI');
  } finally {
    coverage.close();
  }
});

test('an input added to the corpus is read back', () => {
  const root = mkdtempSync(join(tmpdir(), 'upcall-corpus-'));
  try {
    assert.deepEqual(readCorpus('nothing', root), []);
    addToCorpus('some', 'crash', Uint8Array.of(1, 2), root);
    assert.deepEqual(
      readCorpus('some', root).map(({ bytes }) => [...bytes]),
      [[1, 2]],
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('an exceeded time limit is a violation', async () => {
  await assert.rejects(within(1, 'a wait', new Promise(() => undefined)), /a wait takes more than 1 ms/);
});

test('a lost or repeated access is detected in every mode', async () => {
  const bench = await MachineBench.create();
  try {
    for (const mode of GUEST_MODES) {
      const program = new MachineProgram(mode.is32Bit);
      // A move of a device's memory.
      program.add(new FuzzInput(Uint8Array.of(4, 2, 1, 0, 1, 0, 5)), mode);
      const encoded = program.end();
      assert.ok(encoded.expected.size > 0, encoded.text.join());
      await bench.play(mode, encoded);
      await assert.rejects(bench.play(mode, { ...encoded, expected: new Map() }), /instead of 0/);
      const twice = new Map([...encoded.expected].map(([key, count]) => [key, count + 1]));
      await assert.rejects(bench.play(mode, { ...encoded, expected: twice }), /1 instead of 2/);
    }
  } finally {
    await bench.close();
  }
});

test('a triple fault of the guest is a finding', async () => {
  const bench = await MachineBench.create();
  try {
    const mode = GUEST_MODES[0] as GuestMode;
    const end = bench.play(mode, { code: [0x0f, 0x0b], expected: new Map(), text: ['ud2'] });
    await assert.rejects(end, /triple-fault/);
  } finally {
    await bench.close();
  }
});
