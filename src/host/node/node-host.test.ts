import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { host } from '../current.js';
import type { PostingTask } from '../fixtures/posting-thread.js';
import type { AsyncOrigin, HostThread } from '../host.js';
import { threadFlags } from './threads.js';

const ENTRY = new URL('../fixtures/posting-thread.js', import.meta.url);

interface Started {
  readonly thread: HostThread;
  /** Messages, errors and the exit, in their order. */
  readonly events: unknown[];
  readonly posted: Promise<void>;
  readonly exited: Promise<void>;
}

function start(task: PostingTask, data: object = {}): Started {
  const events: unknown[] = [];
  let onPosted: () => void = () => undefined;
  let onExited: () => void = () => undefined;
  const posted = new Promise<void>((resolve) => (onPosted = resolve));
  const exited = new Promise<void>((resolve) => (onExited = resolve));
  const thread = host.startThread(ENTRY, {
    name: 'posting thread',
    data: { task, ...data },
    onMessage: (message) => {
      events.push(message);
      if (message === 'last') onPosted();
    },
    onError: ({ message }) => events.push(`error: ${message}`),
    onExit: () => {
      events.push('exit');
      onExited();
    },
  });
  return { thread, events, posted, exited };
}

describe('a thread of the host', { timeout: 60_000 }, () => {
  test('gets its data, and its messages come before its end', async () => {
    const { events, exited } = start('end', { list: [1, 2] });
    await exited;
    assert.deepEqual(events, [{ task: 'end', list: [1, 2] }, 'last', 'exit']);
  });

  test('shares the shared memory of its data', async () => {
    const words = new SharedArrayBuffer(4);
    const { events, exited } = start('end', { words });
    await exited;
    const [{ words: returned }] = events as [{ words: SharedArrayBuffer }];
    new Int32Array(words)[0] = 7;
    assert.equal(new Int32Array(returned)[0], 7);
  });

  test('that throws reports its error, then its end', async () => {
    const { events, exited } = start('throw');
    await exited;
    assert.deepEqual(events.slice(1), ['last', 'error: the thread failed', 'exit']);
  });

  for (const task of ['block', 'stay'] as const)
    test(`that would ${task} forever has posted before, and ends when it is terminated`, async () => {
      const { thread, events, posted, exited } = start(task);
      await posted;
      assert.equal(events.includes('exit'), false);
      await thread.terminate();
      await exited;
      assert.deepEqual(events.slice(1), ['last', 'exit']);
    });

  test('is not started with data that cannot be cloned', () => {
    assert.throws(() => start('end', { call: () => undefined }), /could not be cloned/);
  });

  test('is not the thread of the program itself', async () => {
    await assert.rejects(host.startedThread(), /not a thread that startThread started/);
  });

  test('inherits the process’s flags, unless one of them refuses files', () => {
    assert.deepEqual(threadFlags(['--no-warnings']), {});
    assert.deepEqual(threadFlags(['--no-warnings', '--input-type=module']), { execArgv: [] });
  });
});

test('turns of the host let timers fire', async () => {
  const fired: number[] = [];
  setTimeout(() => fired.push(1), 0);
  for (let turns = 0; turns < 1_000_000 && fired.length === 0; turns++) await host.turn();
  assert.deepEqual(fired, [1]);
});

test('a file of the host is read by its name, and one that is not there rejects', async () => {
  assert.equal(host.fileName(ENTRY), fileURLToPath(ENTRY));
  assert.ok((await host.readFile(host.fileName(ENTRY))).length > 0);
  await assert.rejects(host.readFile('/no/such/file'), { code: 'ENOENT' });
  assert.match(await host.packageFile('v86/build/v86.wasm'), /v86\.wasm$/);
  await assert.rejects(host.packageFile('no-such-package-at-all/file'), { code: 'MODULE_NOT_FOUND' });
});

test('recorded stacks show where the operations of one run began, and no others', async () => {
  const stacks = host.recordAsyncStacks();
  const origins: AsyncOrigin[] = [];
  const waitInTheDisk = async (): Promise<void> => {
    await Promise.resolve();
  };
  const waitElsewhere = async (): Promise<void> => {
    await Promise.resolve();
  };
  let done: Promise<void> | undefined;
  stacks.run(
    (origin) => origins.push(origin),
    () => void (done = waitInTheDisk()),
  );
  await waitElsewhere();
  await done;
  const seen = origins.map(({ stack = '' }) => stack);
  assert.ok(
    seen.some((stack) => stack.includes('waitInTheDisk')),
    seen.join('\n'),
  );
  assert.ok(!seen.some((stack) => stack.includes('waitElsewhere')));
  stacks.close();
  const count = origins.length;
  stacks.run(
    (origin) => origins.push(origin),
    () => void waitInTheDisk(),
  );
  assert.equal(origins.length, count);
});
