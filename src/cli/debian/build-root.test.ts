import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runBuilder } from './build-root.js';
import { ROOT_BUILT, STEP } from './root-script.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-build-root-'));
after(() => rmSync(folder, { recursive: true }));

/** In the place of upcall's script: a program that prints `lines` and leaves a file. */
function builder(name: string, lines: readonly string[]): string {
  const program = join(folder, `${name}.mjs`);
  const text = JSON.stringify(lines.map((line) => `${line}\n`).join(''));
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs'; writeFileSync('${name}', ''); process.stdout.write(${text});`,
  );
  return program;
}

test('the building guest reports its steps, and the last line says that it has succeeded', async () => {
  const lines = [`${STEP}Making the file system`, 'Setting up libc6', 'Setting up apt', ROOT_BUILT];
  const steps: (string | undefined)[][] = [];
  await runBuilder(folder, 'root.img', 2, { program: builder('builds', lines) }, (...step) => steps.push(step));
  assert.deepEqual(steps.slice(1), [
    ['Making the file system'],
    ['Making the file system', '1 of 2'],
    ['Making the file system', '2 of 2'],
  ]);
  const failing = builder('fails', ['mke2fs: no room']);
  await assert.rejects(
    runBuilder(folder, 'root.img', 2, { program: failing }, () => undefined),
    {
      code: 'TOOL_FAILED',
      message: /could not be built: mke2fs: no room$/,
    },
  );
});

test('the building guest does not run after an abort', async () => {
  const program = builder('aborted', [ROOT_BUILT]);
  const signal = AbortSignal.abort(new Error('interrupted'));
  await assert.rejects(
    runBuilder(folder, 'root.img', 2, { program, signal }, () => undefined),
    /interrupted/,
  );
  assert.equal(existsSync(join(folder, 'aborted')), false);
});
