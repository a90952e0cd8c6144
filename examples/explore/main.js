// @ts-check
/**
 * The explorer on code of one's own: every interleaving of three threads that use a mutex, first as
 * it is, then with a seeded mistake. Run it with `node examples/explore/main.js`. It needs the
 * package `typescript`.
 */

import {
  CodeBase,
  explore,
  ExploredProgram,
  loadCompiler,
  replace,
  replay,
  scheduleTable,
  select,
} from 'upcall/exploration';

const THREADS = 3;
const ROUNDS = 1;

/** @type {import('upcall/exploration').Model} */
const model = {
  plan: { threads: THREADS, rounds: ROUNDS },
  shared: { module: 'mutex', name: 'makeShared', values: [] },
  parts: (shared) => ({
    threads: Array.from({ length: THREADS }, (_, thread) => ({
      name: `thread ${thread}`,
      main: { module: 'mutex', name: 'worker', values: [shared, ROUNDS] },
    })),
  }),
};

const code = new CodeBase(loadCompiler(), { root: new URL('./', import.meta.url) });

/**
 * Prints what is found.
 * @param {string} title
 * @param {import('upcall/exploration').CodeChange[]} changes
 */
async function search(title, changes) {
  const program = new ExploredProgram(code, ['mutex'], changes);
  const { result, schedule } = await explore(program, model, { shortestWithin: 100_000 });
  console.log(`${title}: ${result.states} states, ${result.isComplete ? 'complete' : 'stopped'}`);
  if (schedule === undefined) return;
  console.log(`${schedule.violation}\n${scheduleTable(replay(program, model, schedule))}`);
}

await search('The mutex as it is', []);

// After a sleep the thread takes the mutex as held, not as contended: the next one is not woken.
await search('A woken thread forgets that others may sleep', [
  {
    module: 'mutex',
    in: 'Mutex.lock',
    edit: replace(select.nth(select.call('compareExchange'), 3, 3), 'Atomics.compareExchange($1, $2, $3, HELD)'),
  },
]);
