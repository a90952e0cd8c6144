/**
 * The engine explores any code over shared memory, so it has no word and no import of what upcall
 * explores.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../src/exploration/engine/', import.meta.url));
const files = (readdirSync(folder, { recursive: true }) as string[])
  .filter((path) => path.endsWith('.ts') && path !== 'vocabulary.test.ts')
  .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }));

const WORDS = (
  'acrn hsm vm vms vcpu vcpus hypervisor hypercall guest slot slots request requests ioreq client clients device ' +
  'devices mailbox doorbell doorbells bell bells upcall ioctl mmio pci port ports interrupt interrupts irq ticket ' +
  'tickets reset dispatch worker dispatcher page hostile'
).split(' ');
/** Names of the platform and of this package. */
const ALLOWED = /node:worker_threads|node:vm|'upcall\/exploration'|`upcall\/exploration`|workerData/g;

/** Words of identifiers and prose: `#slotOf` has slot and of. */
function wordsOf(text: string): string[] {
  const spaced = text.replace(ALLOWED, ' ').replace(/([a-z\d])([A-Z])/g, '$1 $2');
  return spaced.toLowerCase().split(/[^a-z]+/);
}

describe('the engine', () => {
  test('is all here', () => assert.ok(files.length > 25));

  for (const { path, text } of files)
    test(`${path} has no word of what is explored with it`, () => {
      assert.deepEqual(
        WORDS.filter((word) => wordsOf(text).includes(word)),
        [],
      );
    });

  test('imports nothing but itself, Node and the types of typescript', () => {
    const outside = files.flatMap(({ path, text }) =>
      [...text.matchAll(/^(import\s+(?:type\s)?)[^;]*?from '([^']+)'/gm)]
        .filter(([, keyword = '', target = '']) => {
          if (target === 'typescript') return !keyword.includes('type');
          const isOwn = target.startsWith('./') || !join('engine', path, '..', target).startsWith('..');
          return !(target.startsWith('node:') || (isOwn && join('engine', path, '..', target).startsWith('engine')));
        })
        .map(([, , target]) => `${path}: ${target}`),
    );
    assert.deepEqual(outside, []);
  });
});
