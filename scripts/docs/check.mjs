// @ts-check
/**
 * Checks of the documents that need no build: links and their headings, quoted code, commands,
 * translations.
 *
 * Called by: scripts/docs.mjs, also with --check alone, which the default test run does.
 *
 * - A link names a file that exists, and a heading that this file has.
 * - A fenced block whose info string is `LANGUAGE PATH` quotes that file: its lines stand there in
 *   this order. A line that is only `…` (or `// …`) leaves lines out.
 * - `npm run NAME` in a shell block is a script of package.json, `node FILE` a file.
 * - A translation names its original and the original's revision (`git hash-object`), and is behind
 *   when that differs.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path/posix';

/** First line of a translation, e.g. `<!-- Translation of README.md, revision 0123456789ab -->`. */
const TRANSLATION = /^<!-- Translation of (\S+), revision ([0-9a-f]{12}) -->\n/;
const FENCE = /^( {0,3})(`{3,})([^\n`]*)\n([\s\S]*?)^ {0,3}\2[^\S\n]*$/gm;

/**
 * Returns a line for each fault that was found, each with the document's path.
 *
 * @param {string} root the repository
 * @param {Iterable<string>} paths of the documents in it
 * @returns {string[]}
 */
export function checkDocuments(root, paths) {
  const scripts = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts);
  const faults = [];
  for (const path of paths) {
    const text = readFileSync(join(root, path), 'utf8');
    for (const fault of [
      ...linkFaults(root, path, text),
      ...quoteFaults(root, text),
      ...commandFaults(root, scripts, text),
      ...translationFaults(root, path, text),
    ])
      faults.push(`${path}: ${fault}`);
  }
  return faults;
}

/** The revision of a file's text as git names it: the first twelve digits of its blob's hash. */
export function revisionOf(/** @type {string} */ text) {
  const bytes = Buffer.from(text);
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex').slice(0, 12);
}

function* linkFaults(/** @type {string} */ root, /** @type {string} */ path, /** @type {string} */ text) {
  const prose = text.replace(FENCE, '').replace(/`[^`\n]*`/g, '');
  for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [file = '', heading] = target.split('#');
    const linked = file === '' ? path : normalize(join(dirname(path), decodeURI(file)));
    if (!existsSync(join(root, linked))) yield `links to ${target}, which does not exist`;
    else if (heading !== undefined && !headings(readFileSync(join(root, linked), 'utf8')).has(decodeURI(heading)))
      yield `links to ${target}, but ${linked} has no such heading`;
  }
}

/** The anchors of a document's headings, made as GitHub makes them. */
function headings(/** @type {string} */ text) {
  const anchors = new Set();
  for (const [, title = ''] of text.replace(FENCE, '').matchAll(/^#{1,6} (.+)$/gm))
    anchors.add(
      title
        .toLowerCase()
        .replace(/[^\p{Letter}\p{Number}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    );
  return anchors;
}

function* quoteFaults(/** @type {string} */ root, /** @type {string} */ text) {
  for (const [, , , info = '', code = ''] of text.matchAll(FENCE)) {
    const [, file] = info.trim().split(/\s+/);
    if (file === undefined) continue;
    if (!existsSync(join(root, file))) {
      yield `quotes ${file}, which does not exist`;
      continue;
    }
    const lines = squeezed(readFileSync(join(root, file), 'utf8'));
    let at = 0;
    for (const line of squeezed(code)) {
      if (/^(?:\/\/ )?…$/.test(line)) continue;
      const found = lines.indexOf(line, at);
      if (found < 0) {
        yield `quotes ${file}, in which this line does not stand (any more, or here): ${line}`;
        break;
      }
      at = found + 1;
    }
  }
}

/** Lines without indentation; blank ones are left out. */
function squeezed(/** @type {string} */ text) {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}

function* commandFaults(
  /** @type {string} */ root,
  /** @type {readonly string[]} */ scripts,
  /** @type {string} */ text,
) {
  for (const [, , , info = '', code = ''] of text.matchAll(FENCE)) {
    if (!/^(?:sh|bash|console)\b/.test(info.trim())) continue;
    const known = [...scripts, ...(/\bupcall new device\b/.test(code) ? projectScripts(root) : [])];
    for (const [, name = ''] of code.matchAll(/\bnpm run (?:-s |--silent )*([\w:-]+)/g))
      if (!known.includes(name)) yield `has the command npm run ${name}, which package.json has not`;
    for (const [, file = ''] of code.matchAll(/\bnode ((?:bench|scripts|examples|dist)\/[\w./-]+)/g))
      if (!file.startsWith('dist/') && !existsSync(join(root, file)))
        yield `has the command node ${file}, which does not exist`;
  }
}

/** The scripts of a project that `upcall new device` creates. */
function projectScripts(/** @type {string} */ root) {
  const { scripts } = JSON.parse(readFileSync(join(root, 'templates/device/package.json'), 'utf8'));
  return Object.keys(scripts);
}

function* translationFaults(/** @type {string} */ root, /** @type {string} */ path, /** @type {string} */ text) {
  const isTranslation = /(?:^|\/)zh-CN\/|\.zh-CN\.md$/.test(path);
  const [, original = '', revision] = TRANSLATION.exec(text) ?? [];
  if (!isTranslation) return;
  if (revision === undefined) {
    yield 'is a translation, but its first line names no original and revision';
    return;
  }
  if (!existsSync(join(root, original))) yield `translates ${original}, which does not exist`;
  else {
    const now = revisionOf(readFileSync(join(root, original), 'utf8'));
    if (now !== revision) yield `translates revision ${revision} of ${original}, which is ${now} by now`;
  }
}
