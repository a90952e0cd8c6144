import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { debianCommandLine } from './command-line.js';
import { buildInitramfs, runParameter, sizeParameter } from './initramfs.js';

const text = buildInitramfs(Buffer.from('busybox')).toString('latin1');
const init = text.slice(text.indexOf('#!/bin/busybox sh'), text.indexOf('halt -f') + 8);

test('the archive has the init script, busybox and a console', () => {
  for (const path of ['init', 'bin/busybox', 'bin/sh', 'dev/console'])
    assert.ok(text.includes(`00000000${path}\0`), path);
  assert.ok(init.includes('upcall: user space reached'));
});

test('the init script has no syntax error', async () => {
  await promisify(execFile)('sh', ['-n', '-c', init]);
});

test('the commands are extracted from the kernel command line, however they are quoted', async () => {
  const parse = init.slice(init.indexOf('run=\n'), init.indexOf('# Full-screen'));
  const commands = async (line: string): Promise<string> =>
    (await promisify(execFile)('sh', ['-c', `line=$1\n${parse}\nprintf %s "$run"`, 'sh', line])).stdout;
  const script = "cat /proc/interrupts; echo 'a b'";
  assert.equal(await commands(`quiet ${runParameter(script)} panic=1`), script);
  assert.equal(await commands(`quiet "upcall.run=${script}" panic=1`), script);
  assert.equal(await commands('upcall.run=free panic=1'), 'free');
  assert.equal(await commands('quiet panic=1'), '');
});

test('the shell’s terminal has the size of the operator’s terminal, or 24 × 80', async () => {
  const parse = init.slice(init.indexOf('size='), init.indexOf('cd /root'));
  /** `own`: the size that the terminal in the guest has already. */
  const size = async (line: string, own = ''): Promise<string> => {
    const stty = `stty() { if [ "$1" = size ]; then echo '${own}'; else echo "$@"; fi; }`;
    return (await promisify(execFile)('sh', ['-c', `line=$1\n${stty}\n${parse}`, 'sh', line])).stdout;
  };
  const parameter = sizeParameter({ rows: 50, columns: 132 });
  assert.equal(await size(`quiet ${parameter} panic=1`), 'rows 50 cols 132\n');
  assert.equal(await size('quiet'), 'rows 24 cols 80\n');
  assert.equal(await size(`quiet ${parameter}`, '43 100'), '', 'the virtio console brings its own');
  assert.equal(sizeParameter({}), undefined);
  assert.equal(sizeParameter({ rows: 0, columns: 80 }), undefined);
});

test('commands with a double quote or a line break are refused: a kernel command line cannot carry them', () => {
  for (const script of ['echo "a"', 'a\nb']) assert.throws(() => runParameter(script), { code: 'OPTION_INVALID' });
});

test('extra parameters come last', () => {
  assert.ok(debianCommandLine().startsWith('console=ttyS0 '));
  assert.equal(debianCommandLine('loglevel=7'), `${debianCommandLine()} loglevel=7`);
});
