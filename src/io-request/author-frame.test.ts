import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorFrame, authorFrames, foreignLines, isInNode, messageWithPlace } from './author-frame.js';

const own = new URL('../hsm/dispatch-worker.js', import.meta.url).href;

test('the frame in the author’s file is the first that is not Node’s, a package’s or upcall’s', () => {
  const frames = [
    '    at openSync (node:fs:601:3)',
    '    at Object.<anonymous>',
    '    at eval (eval at read, <anonymous>:1:1)',
    '    at load (/home/me/node_modules/library/index.js:1:1)',
    `    at DispatchWorker.pass (${own}:60:3)`,
    '    at async Disk.read (file:///home/me/my%20disk.mjs:3:9)',
    '    at file:///home/me/other.mjs:1:1',
  ];
  assert.equal(authorFrame(`Error: bug\n${frames.join('\n')}`), '/home/me/my disk.mjs:3:9');
  assert.equal(authorFrame(`Error: bug\n${frames.slice(6).join('\n')}`), '/home/me/other.mjs:1:1');
  assert.equal(authorFrame(`Error: bug\n${frames.slice(0, 5).join('\n')}`), undefined);
  assert.equal(authorFrame('Error: bug\n    at read (file:///C:/me/disk.mjs:3:9)'), 'C:/me/disk.mjs:3:9');
});

test('a message without a place in the author’s file stays as it is', () => {
  assert.equal(messageWithPlace('bug', undefined), 'bug');
  assert.equal(messageWithPlace('bug', `Error: bug\n    at pass (${own}:60:3)`), 'bug');
  assert.equal(messageWithPlace('bug', 'Error: bug\n    at /home/me/100%.js:1:2'), 'bug (at /home/me/100%.js:1:2)');
});

test('all frames in the author’s files, and the lines that are neither Node’s nor upcall’s', () => {
  const frames = [
    '    at openSync (node:fs:601:3)',
    '    at load (/home/me/node_modules/library/index.js:1:1)',
    `    at DispatchWorker.pass (${own}:60:3)`,
    '    at read (/home/me/disk.mjs:3:9)',
    '    at file:///home/me/other.mjs:1:1',
  ];
  const stack = `Error: bug\n${frames.join('\n')}`;
  assert.deepEqual(authorFrames(stack), ['/home/me/disk.mjs:3:9', '/home/me/other.mjs:1:1']);
  assert.deepEqual(
    foreignLines(stack),
    [1, 3, 4].map((line) => frames[line]),
  );
});

test('a stack is in Node if no frame of it is in a file', () => {
  assert.equal(isInNode('Error: EPIPE\n    at afterWrite (node:internal/stream:12:3)'), true);
  assert.equal(isInNode('Error: EPIPE'), true);
  assert.equal(isInNode('Error: EPIPE\n    at write (/home/me/disk.mjs:3:9)'), false);
});
