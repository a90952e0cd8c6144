// The reporter of `npm test`: one line per file, all details of a failure, each skipped test with
// its reason, and the totals. The runner emits the results file by file, even if files run in
// parallel.

import { basename, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

/** Characters kept of a file's output. They are printed if it fails. */
const MAX_OUTPUT = 20_000;
const ORDERED = new Set(['test:pass', 'test:fail', 'test:stdout', 'test:stderr', 'test:diagnostic']);
const indent = (/** @type {string} */ text, by = '    ') => text.trimEnd().replace(/^/gm, by);

/** @param {AsyncIterable<import('node:test/reporters').TestEvent>} source */
export default async function* report(source) {
  const failures = [];
  let [file, passed, failed, ms, output] = ['', 0, 0, 0, ''];
  const endFile = () => {
    if (passed + failed === 0) return '';
    const line = `${failed > 0 ? '✖' : '✔'} ${relative('', file)}: ${passed + failed} tests, ${(ms / 1000).toFixed(1)} s\n`;
    return failed > 0 && output !== '' ? `${line}  which printed:\n${indent(output, '  | ')}\n` : line;
  };
  for await (const { type, data } of source) {
    // Other events (started, queued, complete) are emitted out of order.
    if (!ORDERED.has(type)) continue;
    // Early versions of Node 20 give a URL for some events.
    const from = data && 'file' in data && data.file?.replace(/^file:.*/, fileURLToPath);
    if (from && from !== file) {
      yield endFile();
      [file, passed, failed, ms, output] = [from, 0, 0, 0, ''];
    }
    if (type === 'test:stdout' || type === 'test:stderr') output = (output + data.message).slice(-MAX_OUTPUT);
    else if (type === 'test:pass') {
      if (data.nesting === 0) ms += data.details.duration_ms;
      if (data.details.type !== 'suite') passed++;
      if (data.skip) yield `﹣ skipped: ${data.name}: ${data.skip === true ? 'no reason given' : data.skip}\n`;
      if (data.todo) yield `⚠ to do: ${data.name}: ${data.todo}\n`;
    } else if (type === 'test:fail') {
      const { error, duration_ms: took } = data.details;
      const { failureType, cause } = /** @type {Error & { failureType?: string }} */ (error);
      if (data.nesting === 0) ms += took;
      // Its subtests have reported why.
      if (failureType === 'subtestsFailed') continue;
      failed++;
      const where = `✖ ${data.name} (${basename(file)}${data.line ? `:${data.line}` : ''}, ${Math.round(took)} ms)`;
      failures.push(where);
      // A test may throw any value, for example a symbol or an object without a prototype.
      const why = typeof cause === 'string' ? cause : inspect(cause ?? error.message);
      yield `${where}\n${indent(cause instanceof Error ? why : `${failureType}: ${why}`)}\n`;
    } else if (type === 'test:diagnostic' && data.nesting === 0) {
      // The first line of the totals.
      if (data.message.startsWith('tests ')) yield [endFile(), ...failures, ''].join('\n');
      yield `ℹ ${data.message}\n`;
    }
  }
}
