import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./hsm-script-main.js', import.meta.url));

interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

function run(args: readonly string[], input: string): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args]);
    let output = '';
    let errors = '';
    child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (errors += piece.toString()));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output, errors }));
    child.stdin.end(input);
  });
}

test('standard input is a script, and each command one JSON line', async () => {
  const { status, output } = await run(['-'], 'vm 3 2\n\n# nothing\ndefault d\nhex 0');
  const lines = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { op: string; hex?: string });
  assert.equal(status, 0);
  assert.deepEqual(
    lines.map(({ op }) => op),
    ['vm', 'default', 'hex'],
  );
  assert.equal(lines[2]?.hex?.length, 512);
});

test('a line that is no command ends the run with its place and what is wrong', async () => {
  const { status, output, errors } = await run(['-'], 'vm 1 1\nput 0 pio r zz 1 0\nupcall\n');
  assert.equal(status, 1);
  assert.equal(output.trimEnd().split('\n').length, 1);
  assert.match(errors, /^-:2: "put 0 pio r zz 1 0": "zz" is not a number/);
});

test('a recorded script runs from its file', async () => {
  const file = fileURLToPath(new URL('../../conformance/driver/0001.script', import.meta.url));
  const { status, output } = await run([file], '');
  assert.equal(status, 0);
  assert.ok(output.split('\n').length > 100);
});

test('a file that is not there is an error, and so is no file at all', async () => {
  const missing = await run(['/nowhere/at-all.script'], '');
  assert.equal(missing.status, 1);
  assert.match(missing.errors, /ENOENT/);
  assert.equal((await run([], '')).status, 2);
});

test('ten thousand commands take less than ten seconds', async () => {
  const round = 'put 0 pio r 0x3f8 1 0\nupcall\nrun c\nfree 0\ndump\n';
  const started = performance.now();
  const { output } = await run(['-'], `vm 1 4\nclient c\nadd c pio 0x3f8 0x3ff\n${round.repeat(2000)}`);
  assert.equal(output.trimEnd().split('\n').length, 10_003);
  assert.ok(performance.now() - started < 10_000);
});
