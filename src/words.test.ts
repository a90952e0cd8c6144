/**
 * The words that must not come back. The project speaks the field's terms (ARCHITECTURE.md lists
 * its few private ones). This test reads every source file, script, example and document, and names
 * the word to use instead.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

interface Rule {
  readonly pattern: RegExp;
  /** What to write. */
  readonly instead: string;
}

const RULES: readonly Rule[] = [
  // Waiting and reading.
  { pattern: /glimps/i, instead: 'relaxed (a relaxed load)' },
  { pattern: /\blookUs\b|--look\b|LookBudget|HoldOff|hold-off/, instead: 'spinUs, --spin, AdaptiveSpin' },
  { pattern: /\blook[A-Z]\w*|\w[a-z]Look(?![a-z])|\bLOOKS?_|\.look\(/, instead: 'poll, spin, peek or sample' },
  { pattern: /\bglance|Glance/, instead: 'sample' },
  { pattern: /\b(?:falls?|fell|is|are|was|were) asleep\b/, instead: 'park, parked' },
  // Data does not speak.
  { pattern: /\b(?:tells?|telling|told|hears?|hearing|heard)\b/i, instead: 'emit, report, notify, receive' },
  {
    pattern: /(?<![A-Za-z])#?(?:tell|hear|told)[A-Z]|[a-z](?:Tell|Hear|Told)(?![a-z])/,
    instead: 'emit, report, receive',
  },
  // Relative pronouns without an antecedent, and pronouns for threads and callers.
  { pattern: /\b(?:whoever|whomever|somebody|nobody)\b/i, instead: 'the caller, the client, no thread …' },
  { pattern: /\b(?:for|to|of|by|from) who\b/i, instead: 'for the caller that …' },
  // Idioms that are not English.
  { pattern: /\bfor ever\b/i, instead: 'forever' },
  {
    pattern: /\b(?:for|in|after|every|at most) so (?:many|often|long)\b|\bso (?:many|often) (?:as|times)\b/i,
    instead: 'N times, at most N',
  },
  { pattern: /\b(?:is|are|was|were) none\b/i, instead: 'is not a …, does not exist' },
  { pattern: /\bunless given\b/i, instead: 'Default: …' },
  { pattern: /\bat hand\b/i, instead: 'current, present' },
  { pattern: /\b(?:takes?|taken|took|taking) out\b|takeOut|takenOut/i, instead: 'remove' },
  // Names that were private.
  { pattern: /\bAcrnError\b/, instead: 'UpcallError' },
  { pattern: /\bMoveWatcher\b|\bMoveSieve\b|\bsift\b/, instead: 'SlotObserver, CompiledMoveFilter.apply' },
  { pattern: /\berred\b|\bstepBack\b/, instead: 'countError, lowerPriority' },
];

/** Where a word may stand, with the reason. */
const EXCEPTIONS: readonly { readonly file: RegExp; readonly word: RegExp; readonly because: string }[] = [
  { file: /^src\/words\.test\.ts$/, word: /./, because: 'it lists the words' },
  {
    file: /^(?:CHANGELOG\.md|docs\/decisions\/)/,
    word: /--look|lookUs|AcrnError/,
    because: 'they say what it was called',
  },
  { file: /^src\/(?:cli|vm)\//, word: /--look|lookUs/, because: 'the old name is refused with the new one named' },
];

const root = fileURLToPath(new URL('../', import.meta.url));
const FOLDERS = ['src', 'bench', 'scripts', 'examples', 'docs', 'guests', 'conformance'];
const READ = /\.(?:tsx?|m?js|md|asm|css|html)$|^\.ci\/run$/;
/** Recordings, translations, and what is generated. */
const NOT_READ = /\/zh\.ts$|\/zh-CN\/|\.zh-CN\.md$|^conformance\/(?:driver|corpus|abi)\//;

function readTree(): readonly { readonly path: string; readonly lines: readonly string[] }[] {
  const inFolders = FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  );
  const atRoot = readdirSync(root).filter((name) => /\.(?:md|js)$/.test(name));
  return [...inFolders, ...atRoot, '.ci/run']
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => READ.test(path) && !NOT_READ.test(path) && existsSync(join(root, path)))
    .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').split('\n') }));
}

/** Each place where a rule is broken: `file:line: word → instead`. */
function breaches(path: string, lines: readonly string[]): string[] {
  const found: string[] = [];
  lines.forEach((line, index) => {
    for (const { pattern, instead } of RULES) {
      const word = pattern.exec(line)?.[0];
      if (word === undefined) continue;
      if (EXCEPTIONS.some((exception) => exception.file.test(path) && exception.word.test(word))) continue;
      found.push(`${path}:${index + 1}: "${word.trim()}" → ${instead}`);
    }
  });
  return found;
}

describe('words', () => {
  test('that were private or not English are in no file', () => {
    const tree = readTree();
    assert.ok(tree.length > 400, `${tree.length} files read`);
    const found = tree.flatMap(({ path, lines }) => breaches(path, lines));
    assert.equal(found.length, 0, `\n${found.join('\n')}\n`);
  });

  test('are found in a line that has one', () => {
    for (const line of [
      '// Whoever rings, wakes it.',
      'this.#tellFailed(client);',
      'const lookUs = 5;',
      '/** The default is 5 unless given. */',
      'It waits for ever.',
    ])
      assert.ok(breaches('src/x.ts', [line]).length >= 1, line);
    assert.deepEqual(breaches('src/x.ts', ['const lookup = table.lookup(word); // a lookup']), []);
  });
});
