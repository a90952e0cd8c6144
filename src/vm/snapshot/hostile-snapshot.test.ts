/**
 * A snapshot from anywhere: whatever is in its manifest and its memory, a restore is refused with
 * SNAPSHOT_INVALID or SNAPSHOT_REFUSED, or the VM runs until it is destroyed or ends by itself.
 */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { Recorder, restoreCounting, startCounting } from './fixtures/counting-guest.js';
import { packSnapshot, unpackSnapshot, type Packed } from './snapshot-file.js';

async function savedFile(t: TestContext): Promise<{ file: string; packed: Packed }> {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-hostile-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'vm.snap');
  const { serviceVm, vm, recorder } = await startCounting();
  await recorder.until(1000);
  await vm.save(file);
  await serviceVm.close();
  return { file, packed: await unpackSnapshot(await host.readFile(file), file) };
}

/** Returns whether the VM started. */
async function tryRestore(file: string, packed: Packed): Promise<boolean> {
  writeFileSync(file, Buffer.concat(await packSnapshot(packed)));
  let restored;
  try {
    restored = await restoreCounting(file);
  } catch (error) {
    assert.ok(error instanceof UpcallError, String(error));
    assert.ok(['SNAPSHOT_INVALID', 'SNAPSHOT_REFUSED'].includes(error.code), error.describe());
    return false;
  }
  const { serviceVm, vm, recorder } = restored;
  await Promise.race([recorder.until(recorder.count + 10), vm.ended]);
  await serviceVm.close();
  return true;
}

/** Paths of all fields. */
function pathsOf(part: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof part !== 'object' || part === null) return [path];
  const inner = Object.entries(part).flatMap(([key, value]) => pathsOf(value, [...path, key]));
  return path.length === 0 ? inner : [path, ...inner];
}

function replaced(state: unknown, path: readonly string[], value: unknown): Record<string, unknown> {
  const changed = structuredClone(state) as Record<string, unknown>;
  let part = changed;
  for (const key of path.slice(0, -1)) part = part[key] as Record<string, unknown>;
  const last = path.at(-1) as string;
  // JSON leaves it out if it is undefined.
  part[last] = value;
  return changed;
}

test('any field of the manifest may be missing or anything else', async (t) => {
  const { file, packed } = await savedFile(t);
  const manifest = { ...packed.manifest, pieces: undefined };
  assert.ok(await tryRestore(file, { manifest, pieces: packed.pieces }), 'unchanged it starts');
  const paths = pathsOf(manifest);
  const values = fc.constantFrom<unknown>(undefined, null, -1, 0, 2 ** 40, 1.5, 'x', [], [1, 2, 3], {}, true);
  await fc.assert(
    fc.asyncProperty(fc.nat(paths.length - 1), values, async (at, value) => {
      await tryRestore(file, { manifest: replaced(manifest, paths[at] as string[], value), pieces: packed.pieces });
    }),
    { numRuns: 10 },
  );
  // Those that decide about memory, each with each value.
  for (const name of ['memoryBytes', 'vcpuCount', 'ram', 'vcpus', 'devices', 'protectedPages'])
    for (const value of [undefined, null, -1, 2 ** 40, 'x', [1, 2, 3], [0, 2 ** 20], {}])
      assert.equal(
        await tryRestore(file, { manifest: replaced(manifest, [name], value), pieces: packed.pieces }),
        false,
        name,
      );
});

test('any bytes in the memory of the vCPU leave the process and its other VMs alone', async (t) => {
  const { file, packed } = await savedFile(t);
  const manifest = { ...packed.manifest, pieces: undefined };
  const other = await startCounting(new Recorder());
  for (const seed of [3, 7]) {
    const pieces = packed.pieces.map((piece) => piece.slice());
    const last = pieces.at(-1);
    assert.ok(last !== undefined);
    for (let at = 0; at < last.length; at += 97) last[at] = (at * seed) & 0xff;
    await tryRestore(file, { manifest, pieces });
  }
  await other.recorder.until(other.recorder.count + 10);
  await other.serviceVm.close();
});
