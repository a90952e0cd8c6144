import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { drop, replace, type CodeChange } from './change/code-change.js';
import { call, nth, statement } from './change/selector.js';
import { CodeBase } from './code/code-base.js';
import { loadCompiler } from './compiler.js';
import { explore, exploreRandomly } from './explore.js';
import { OperationKind } from './machine/operation.js';
import type { Model, ThreadPlan } from './model.js';
import { ExploredProgram } from './program.js';
import { scheduleTable } from './schedule-table.js';
import { parseSchedule, replay } from './schedule.js';
import type { WatchedSpace, Watcher } from './search/space-parts.js';
import { Violation } from './search/violation.js';

const folder = mkdtempSync(join(tmpdir(), 'explored-'));
after(() => rmSync(folder, { recursive: true }));
const compiler = loadCompiler();

/** A program of one module, and a model whose threads call its exports. */
function explored(
  name: string,
  text: string,
  threads: readonly (Partial<ThreadPlan> & { readonly name: string })[],
  changes: readonly CodeChange[] = [],
): { program: ExploredProgram; model: Model } {
  writeFileSync(join(folder, `${name}.js`), text);
  const code = new CodeBase(compiler, { root: pathToFileURL(`${folder}/`) });
  const model: Model = {
    plan: { name },
    shared: { module: name, name: 'shared', values: [] },
    parts: (shared) => ({
      threads: threads.map((thread) => ({ main: { module: name, name: thread.name, values: [shared] }, ...thread })),
    }),
  };
  return { program: new ExploredProgram(code, [name], changes), model };
}

const SHARED = 'export const shared = () => ({ words: new Int32Array(new SharedArrayBuffer(16)) });';

const MUTEX = `${SHARED}
function task({ words }) {
  let was = Atomics.compareExchange(words, 0, 0, 1);
  while (was !== 0) {
    if (was === 2 || Atomics.compareExchange(words, 0, 1, 2) !== 0) Atomics.wait(words, 0, 2);
    was = Atomics.compareExchange(words, 0, 0, 2);
  }
  const before = words[1];
  words[1] = before + 1;
  if (words[1] !== before + 1) throw new Error('two hold it');
  if (Atomics.exchange(words, 0, 0) === 2) Atomics.notify(words, 0, 1);
}
export const one = task;
export const two = task;
export const three = task;
`;
const WORKERS = [{ name: 'one' }, { name: 'two' }, { name: 'three' }];
const FORGETS: CodeChange = {
  module: 'mutex',
  in: 'task',
  edit: replace(nth(call('compareExchange'), 3, 3), 'Atomics.compareExchange($1, $2, $3, 1)'),
};

describe('a mutex, whose word is not an event count', () => {
  test('that is right has no schedule that breaks it', async () => {
    const { program, model } = explored('mutex', MUTEX, WORKERS);
    const { result } = await explore(program, model);
    assert.equal(result.violation, undefined);
    assert.ok(result.isComplete && result.states > 500 && result.ends > 0);
  });

  test('that loses a wake-up is found, and its schedule runs again from its file', async () => {
    const { program, model } = explored('mutex', MUTEX, WORKERS, [FORGETS]);
    const { schedule } = await explore(program, model, { shortestWithin: 50_000 });
    assert.match(schedule?.violation ?? '', /^no thread can move, and these still wait: (one|two|three)$/);
    const again = replay(program, model, parseSchedule(JSON.stringify(schedule)));
    assert.equal(again.violation, schedule?.violation);
    assert.match(scheduleTable(again), /moves words\[0\]: 0 → 1/);
  });

  test('that loses a wake-up is found by random schedules, too', async () => {
    const { program, model } = explored('mutex', MUTEX, WORKERS, [FORGETS]);
    const { schedule } = await exploreRandomly(program, model, { seed: 1, runs: 2000 });
    assert.match(schedule?.violation ?? '', /these still wait/);
    assert.ok(schedule);
    assert.equal(replay(program, model, schedule).violation, schedule.violation);
  });

  test('that does not exclude is found by the exception of a thread', async () => {
    const edit = replace(nth(call('compareExchange'), 1, 3), '0');
    const { program, model } = explored('mutex', MUTEX, WORKERS, [{ module: 'mutex', in: 'task', edit }]);
    const { schedule } = await explore(program, model);
    assert.match(schedule?.violation ?? '', /^(one|two|three) threw: Error: two hold it/);
  });
});

const COUNTED = `${SHARED}
export function producer({ words }) {
  Atomics.store(words, 1, 7);
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
}
export function consumer({ words }) {
  for (;;) {
    const seen = Atomics.load(words, 0);
    if (Atomics.load(words, 1) === 7) return;
    Atomics.wait(words, 0, seen);
  }
}
`;
const PAIR = [{ name: 'producer' }, { name: 'consumer' }];

describe('an event count', () => {
  test('that is right has no schedule that breaks it', async () => {
    const { program, model } = explored('counted', COUNTED, PAIR);
    const { result } = await explore(program, model);
    assert.ok(result.isComplete && result.violation === undefined);
  });

  test('that is not added to loses a wake-up', async () => {
    const change = { module: 'counted', in: 'producer', edit: drop(statement('add')) };
    const { program, model } = explored('counted', COUNTED, PAIR, [change]);
    const { schedule } = await explore(program, model);
    assert.match(schedule?.violation ?? '', /these still wait: consumer/);
  });
});

describe('the end of a model', () => {
  const text = `${SHARED}\nexport function server({ words }) { Atomics.load(words, 0); Atomics.wait(words, 0, 0); }`;

  test('is broken by a thread that waits', async () => {
    const { program, model } = explored('server', text, [{ name: 'server' }]);
    assert.match((await explore(program, model)).schedule?.violation ?? '', /these still wait: server/);
  });

  test('is not broken by a thread that may wait', async () => {
    const { program, model } = explored('server', text, [{ name: 'server', mayWait: true }]);
    assert.equal((await explore(program, model)).schedule, undefined);
  });

  test('is broken by threads that loop forever, unless the model allows it', async () => {
    const loop = `${SHARED}\nexport function spinner({ words }) { while (Atomics.load(words, 0) === 0); }
      export function other({ words }) { Atomics.load(words, 0); Atomics.store(words, 1, 1); }`;
    const { program, model } = explored('loop', loop, [{ name: 'spinner' }, { name: 'other' }]);
    const { schedule } = await explore(program, model);
    assert.match(schedule?.violation ?? '', /no end can be reached from here|runs on forever/);
  });
});

test('a model’s own watcher is called for accesses and notes, and keeps its memory in the state', async () => {
  const text = `import { note } from 'upcall/exploration';
    ${SHARED}
    export function one({ words }) { note('in', 1); Atomics.store(words, 0, 1); note('out', 1); }
    export function two({ words }) { note('in', 2); Atomics.store(words, 0, 2); note('out', 2); }`;
  const { program, model } = explored('noted', text, [{ name: 'one' }, { name: 'two' }]);
  class Exclusion implements Watcher {
    readonly wordCount = 1;
    #space: WatchedSpace | undefined;
    begin(space: WatchedSpace): void {
      this.#space = space;
    }
    read(): void {
      /* Not of interest. */
    }
    write(thread: number, place: number, _from: number, to: number): void {
      assert.equal(this.#space?.addressAt(place)?.index, 0);
      assert.equal(to, thread + 1);
    }
    note(
      thread: number,
      { names: [name], numbers: [id = 0] }: { names: readonly string[]; numbers: readonly number[] },
    ): void {
      const space = this.#space;
      assert.ok(space);
      const inside = space.words[space.notes] ?? 0;
      if (name === 'in' && inside !== 0) throw new Violation(`${space.nameOf(thread)} comes in while ${inside} is in`);
      space.set(space.notes, name === 'in' ? id : 0);
    }
    end(): void {
      /* Any end is right. */
    }
  }
  const watched: Model = { ...model, parts: (shared) => ({ ...model.parts(shared), watcher: new Exclusion() }) };
  const { schedule } = await explore(program, watched);
  assert.match(schedule?.violation ?? '', /^(one comes in while 2|two comes in while 1) is in$/);
});

describe('a model that cannot be set up is an error with its reason', () => {
  const waits = `${SHARED}\nexport function waiter({ words }) { Atomics.wait(words, 0, 0); }`;
  const startsAt: ThreadPlan['startsAt'] = ({ kind }) => kind === OperationKind.LOAD;

  test('if two threads begin by waiting on one word', async () => {
    const text = `${waits}\nexport const other = waiter;`;
    const { program, model } = explored('two-waiters', text, [{ name: 'waiter' }, { name: 'other' }]);
    await assert.rejects(explore(program, model), /^Error: other begins too late: a second thread waits on a word/);
  });

  test('if a thread changes the word by which another waits before its own work begins', async () => {
    const text = `${waits}\nexport function other({ words }) { Atomics.store(words, 0, 1); Atomics.load(words, 1); }`;
    const { program, model } = explored('changed', text, [{ name: 'waiter' }, { name: 'other', startsAt }]);
    await assert.rejects(explore(program, model), /^Error: other begins too late: .* is not an event count/);
  });

  test('if a thread makes more buffers than it has numbers for', async () => {
    const text = `${SHARED}\nexport function maker({ words }) {
      for (let count = 0; count < COUNT; count++) new SharedArrayBuffer(4);
      Atomics.load(words, 0);
    }`;
    const violation = async (count: number): Promise<string | undefined> => {
      const { program, model } = explored(`maker-${count}`, text.replace('COUNT', `${count}`), [{ name: 'maker' }]);
      return (await explore(program, model)).result.violation?.message;
    };
    assert.equal(await violation(1000), undefined);
    assert.match((await violation(1001)) ?? '', /^maker threw: Error: a thread makes more than 1000 buffers/);
  });
});

describe('accesses', () => {
  const PUBLISH = `${SHARED}
export function writer({ words }) {
  words[1] = 7;
  STORE;
  Atomics.notify(words, 0);
}
export function reader({ words }) {
  if (READ === 1 && words[1] !== 7) throw new Error('not published');
}
`;
  const publishing = (name: string, store: string, read: string): ReturnType<typeof explored> =>
    explored(name, PUBLISH.replace('STORE', store).replace('READ', read), [{ name: 'writer' }, { name: 'reader' }]);

  test('of one word may be plain or atomic, not both', async () => {
    const ATOMIC = ['Atomics.store(words, 0, 1)', 'Atomics.load(words, 0)'] as const;
    const good = publishing('publish', ...ATOMIC);
    assert.equal((await explore(good.program, good.model)).result.violation, undefined);
    for (const [name, store, read, plain, atomic] of [
      ['plain-store', 'words[0] = 1', ATOMIC[1], 'writer', 'reader'],
      ['plain-load', ATOMIC[0], 'words[0]', 'reader', 'writer'],
    ] as const) {
      const { program, model } = publishing(name, store, read);
      const { schedule } = await explore(program, model);
      const message = `${plain} accesses a word plainly that ${atomic} uses by atomic operations`;
      assert.equal(schedule?.violation, message);
      assert.equal(schedule.access?.index, 0);
      // The other access need not be in the schedule. A file of it has both.
      const again = replay(program, model, parseSchedule(JSON.stringify(schedule)));
      assert.equal(again.violation, message);
    }
  });

  test('may be mixed in a function that is named as relaxed, and only there', async () => {
    const text = PUBLISH.replace('STORE', 'Atomics.store(words, 0, 1)').replace('READ', 'words[0]');
    writeFileSync(join(folder, 'relaxed.js'), text);
    const root = pathToFileURL(`${folder}/`);
    const { model } = explored('relaxed', text, [{ name: 'writer' }, { name: 'reader' }]);
    for (const [relaxed, isFound] of [
      ['reader', false],
      ['writer', true],
    ] as const) {
      const code = new CodeBase(compiler, { root, relaxed: [{ module: 'relaxed', in: relaxed }] });
      const { result } = await explore(new ExploredProgram(code, ['relaxed']), model);
      assert.equal(result.violation !== undefined, isFound, relaxed);
    }
    const code = new CodeBase(compiler, { root, relaxed: [{ module: 'relaxed', in: 'gone' }] });
    assert.throws(() => new ExploredProgram(code, ['relaxed']).function('relaxed', 'reader'), /GONE: relaxed: .*gone/);
  });

  test('a thread that parks after a relaxed poll is found', async () => {
    const waiting = (poll: string): string => `${SHARED}
export const peek = (words) => words[1];
export function waiter({ words }) {
  for (;;) {
    const count = Atomics.load(words, 0);
    if (${poll} !== 0) return;
    Atomics.wait(words, 0, count);
  }
}
export function ringer({ words }) {
  Atomics.store(words, 1, 1);
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
}
`;
    for (const [name, poll, expected] of [
      ['ordered-poll', 'Atomics.load(words, 1)', undefined],
      ['relaxed-poll', 'peek(words)', 'waiter parks after a poll that is not ordered: it may miss its work'],
    ] as const) {
      writeFileSync(join(folder, `${name}.js`), waiting(poll));
      const { model } = explored(name, waiting(poll), [{ name: 'waiter' }, { name: 'ringer' }]);
      const relaxed = [{ module: name, in: 'peek' }];
      const code = new CodeBase(compiler, { root: pathToFileURL(`${folder}/`), relaxed });
      const { result } = await explore(new ExploredProgram(code, [name]), model);
      assert.equal(result.violation?.message, expected);
    }
  });
});
