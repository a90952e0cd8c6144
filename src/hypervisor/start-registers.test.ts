import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedWords } from '../sync/shared-words.js';
import { StartRegisters } from './start-registers.js';
import type { VcpuRegisters } from './vcpu-registers.js';

const MAX32 = 0xffff_ffff;
const SEGMENT = { selector: 0xffff, base: MAX32, limit: MAX32, attributes: 0xffff };
const TABLE = { base: MAX32, limit: 0xffff };
/** Every field, each at its longest. */
const ALL: Required<VcpuRegisters> = {
  mode: 'flat-32',
  ...{ ip: MAX32, flags: MAX32, eax: MAX32, ebx: MAX32, ecx: MAX32, edx: MAX32 },
  ...{ esi: MAX32, edi: MAX32, esp: MAX32, ebp: MAX32, cr0: MAX32, cr3: MAX32, cr4: MAX32 },
  ...{ cs: SEGMENT, ds: SEGMENT, es: SEGMENT, fs: SEGMENT, gs: SEGMENT, ss: SEGMENT, ldtr: SEGMENT, tr: SEGMENT },
  ...{ gdt: TABLE, idt: TABLE },
};
const FEW: VcpuRegisters = { mode: 'real', ip: 0, cs: { selector: 0 }, ds: { selector: 0 } };

test('start registers that were never stored are undefined', () => {
  assert.equal(new StartRegisters().load(), undefined);
});

test('the registers stored last arrive at the other view, with the fields that were given', () => {
  const registers = new StartRegisters();
  const other = new StartRegisters(registers.buffer);
  for (const each of [ALL, FEW, ALL]) {
    assert.equal(registers.store(each), true);
    assert.deepEqual(other.load(), each);
    assert.deepEqual(other.load(), each, 'a load takes nothing away');
  }
});

test('registers with a text that is too long are refused and the old ones stay', () => {
  const registers = new StartRegisters();
  registers.store(FEW);
  assert.equal(registers.store({ ...FEW, more: 'x'.repeat(3000) } as VcpuRegisters), false);
  assert.deepEqual(registers.load(), FEW);
});

test('registers that change while they are loaded are never torn', { timeout: 60_000 }, async () => {
  const registers = new StartRegisters();
  const stop = new SharedWords(1);
  const source = `
    const { workerData } = require('node:worker_threads');
    const { start, words, stop, ALL, FEW } = workerData;
    Promise.all([import(start), import(words)]).then(([{ StartRegisters }, { SharedWords }]) => {
      const registers = new StartRegisters(workerData.registers);
      const word = new SharedWords(stop);
      while (word.load(0) === 0) {
        registers.store(ALL);
        registers.store(FEW);
      }
    });`;
  const start = new URL('./start-registers.js', import.meta.url).href;
  const words = new URL('../sync/shared-words.js', import.meta.url).href;
  const writer = new Worker(source, {
    eval: true,
    workerData: { start, words, registers: registers.buffer, stop: stop.buffer, ALL, FEW },
  });
  const seen = { all: 0, few: 0 };
  while (seen.all < 50 || seen.few < 50) {
    const loaded = registers.load();
    if (loaded === undefined) continue;
    assert.deepEqual(loaded, loaded.mode === 'real' ? FEW : ALL);
    seen[loaded.mode === 'real' ? 'few' : 'all']++;
  }
  stop.store(0, 1);
  await new Promise((resolve) => writer.once('exit', resolve));
});
