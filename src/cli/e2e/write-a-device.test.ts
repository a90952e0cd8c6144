/**
 * The commands of docs/write-a-device.md, run as they stand there: those of a shell, those that
 * are typed at the monitor (`monitor> …`) and those of Debian's shell (`# …`). npm's packages are
 * linked from the checkout, so that no network is needed.
 */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoDebian } from './needed-guest.js';
import { MAIN, start, type Ended } from './upcall-process.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'upcall-write-a-device-'));
after(() => rmSync(folder, { recursive: true }));
const LIMIT_MS = 300_000;
const DEBIAN_PROMPT = 'debian:/root# ';

interface Command {
  readonly text: string;
  /** What is typed at the guest it starts. */
  readonly input: readonly string[];
}

/** The commands of one block of the document. */
function commandsOf(block: string): readonly Command[] {
  const commands: { text: string; input: string[] }[] = [];
  for (const line of block
    .replace(/\\\n\s*/g, '')
    .trim()
    .split('\n')) {
    const typed = /^(?:monitor>|#) (.*)$/.exec(line)?.[1];
    // What upcall prints, which other tests see.
    if (line.startsWith('upcall: ')) continue;
    if (typed === undefined) commands.push({ text: line.replace(/\s{2,}# .*$/, ''), input: [] });
    else commands.at(-1)?.input.push(typed);
  }
  return commands;
}

/** What the output of a command must have. One that is not here only has to succeed. */
const EXPECTED: readonly (readonly [command: RegExp, output: RegExp])[] = [
  [/read-counter\.js/, /in8 500\s+0x28/],
  [/^npm test/, /# fail 0/],
  [/^npm start/, /monitor>/],
  [/^npm run debian/, /0x55500001\s+0x00000001/],
  [/copier\.js/, /0x00000000d0000000|0x[0-9A-F]{8}/i],
  [/screen\.sh/, /Hello/],
  [/out32 500 0; in8 504; poweroff" --coverage$/, /MS +not read +written 1/],
];

/** Words of a command line, of which those in quotes are one. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

async function run({ text, input }: Command, cwd: string): Promise<Ended> {
  const [program = '', ...words] = wordsOf(text);
  const parameters = words.map((word) => word.replace(/^\/tmp\//, `${folder}/`));
  if (program === './upcall' && parameters[0] === 'new') parameters.push('--no-install');
  const isUpcall = program === './upcall';
  const { child, ended, until } = isUpcall
    ? start(process.execPath, [MAIN, ...parameters], { cwd, limitMs: LIMIT_MS })
    : start(program, parameters, { cwd, limitMs: LIMIT_MS });
  const isDebian = / debian/.test(text);
  const isGuest = isDebian || text.startsWith('npm start') || text.includes('run monitor');
  const endsItself = text.includes('--run') || text.includes('poweroff');
  if (isGuest && !endsItself) {
    await until(isDebian ? DEBIAN_PROMPT : 'monitor>');
    child.stdin.write([...input, isDebian ? 'exit' : 'poweroff', ''].join('\n'));
  }
  if (!isGuest) child.stdin.end();
  return ended;
}

/** Does what npm install does, with the packages of the checkout. */
function link(project: string): void {
  for (const dependency of ['@types/node', 'fast-check', 'tsx', 'typescript', 'upcall']) {
    const place = join(project, 'node_modules', dependency);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(dependency === 'upcall' ? root : join(root, 'node_modules', dependency), place);
  }
  // npm puts the command there.
  const bin = join(project, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(MAIN, join(bin, 'upcall'));
}

const text = readFileSync(join(root, 'docs/write-a-device.md'), 'utf8');
const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => commandsOf(block));
const all = blocks.flat();
const noDebian = await whyNoDebian();

test('the document has commands, and each of those with an expected output', () => {
  assert.ok(all.length >= 12, `${all.length} commands`);
  for (const [command] of EXPECTED)
    assert.ok(
      all.some((one) => command.test(one.text)),
      String(command),
    );
});

for (const [number, commands] of blocks.entries()) {
  let cwd = root;
  for (const command of commands)
    test(
      `block ${number + 1}: ${command.text}`,
      { skip: / debian/.test(command.text) && noDebian, timeout: LIMIT_MS },
      async () => {
        const target = /^cd (.*)$/.exec(command.text)?.[1];
        if (target !== undefined) {
          cwd = join(folder, basename(target));
          return;
        }
        const { status, stdout, stderr } = await run(command, cwd);
        assert.equal(status, 0, stdout + stderr);
        const created = /--folder (\S+)/.exec(command.text)?.[1];
        if (created !== undefined) link(join(folder, basename(created)));
        for (const [pattern, output] of EXPECTED) if (pattern.test(command.text)) assert.match(stdout + stderr, output);
      },
    );
}
