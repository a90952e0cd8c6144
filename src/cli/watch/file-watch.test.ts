import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock, type ClockTimer } from '../../device-model/clock.js';
import { FileWatch, MAX_FOLDERS, SETTLE_MS } from './file-watch.js';

/** A clock that says when a timer was scheduled. */
class ObservedClock extends ManualClock {
  #scheduled: () => void = () => undefined;

  override schedule(atMs: number, callback: () => void): ClockTimer {
    queueMicrotask(() => this.#scheduled());
    return super.schedule(atMs, callback);
  }

  /** Resolves when the next timer was scheduled. */
  scheduled(): Promise<void> {
    return new Promise((resolve) => (this.#scheduled = resolve));
  }
}

function made(t: TestContext): {
  folder: string;
  watch: FileWatch;
  clock: ObservedClock;
  changes: number[];
  problems: string[];
  /** Does `act`, and lets the events of it settle. */
  readonly saved: (act: () => void) => Promise<void>;
} {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-watch-'));
  const clock = new ObservedClock();
  const changes: number[] = [];
  const problems: string[] = [];
  const watch = new FileWatch({
    clock,
    onChanged: (sinceMs) => changes.push(sinceMs),
    onFailed: (problem) => problems.push(problem),
  });
  // A watch does not keep the process.
  const alive = setInterval(() => undefined, 60_000);
  t.after(() => {
    clearInterval(alive);
    watch.close();
    rmSync(folder, { recursive: true });
  });
  const saved = async (act: () => void): Promise<void> => {
    const scheduled = clock.scheduled();
    act();
    await scheduled;
    clock.advance(SETTLE_MS);
  };
  return { folder, watch, clock, changes, problems, saved };
}

test('a save is one change, whatever its events: in place, by rename, twice with one content', async (t) => {
  const { folder, watch, clock, changes, saved } = made(t);
  const file = join(folder, 'a.ts');
  writeFileSync(file, '1');
  watch.setFiles([file], true);
  clock.advance(1000);
  await saved(() => writeFileSync(file, '2'));
  assert.deepEqual(changes, [1000]);
  await saved(() => {
    writeFileSync(join(folder, '.a.ts.swp'), '3');
    renameSync(join(folder, '.a.ts.swp'), file);
  });
  assert.equal(changes.length, 2);
  await saved(() => writeFileSync(file, '3'));
  assert.equal(changes.length, 2, 'the same content is no change');
  await saved(() => {
    writeFileSync(file, '');
    writeFileSync(file, '4');
  });
  assert.equal(changes.length, 3);
});

test('events that follow each other closely are one change, at the time of the first', async (t) => {
  const { folder, watch, clock, changes } = made(t);
  const file = join(folder, 'a.ts');
  writeFileSync(file, '1');
  watch.setFiles([file], true);
  let scheduled = clock.scheduled();
  writeFileSync(file, '2');
  await scheduled;
  clock.advance(SETTLE_MS - 1);
  scheduled = clock.scheduled();
  writeFileSync(file, '3');
  await scheduled;
  clock.advance(SETTLE_MS - 1);
  assert.deepEqual(changes, []);
  clock.advance(1);
  assert.deepEqual(changes, [0]);
});

test('a file that is removed is no change until it is there again', async (t) => {
  const { folder, watch, changes, saved } = made(t);
  const file = join(folder, 'a.ts');
  writeFileSync(file, '1');
  watch.setFiles([file], true);
  await saved(() => unlinkSync(file));
  assert.equal(changes.length, 0);
  await saved(() => writeFileSync(file, '2'));
  assert.equal(changes.length, 1);
});

test('a module has files in several folders, and behind links', async (t) => {
  const { folder, watch, changes, saved } = made(t);
  mkdirSync(join(folder, 'lib'));
  mkdirSync(join(folder, 'real'));
  writeFileSync(join(folder, 'lib/b.ts'), '1');
  writeFileSync(join(folder, 'real/a.ts'), '1');
  symlinkSync('real/a.ts', join(folder, 'a.ts'));
  watch.setFiles([join(folder, 'a.ts'), join(folder, 'lib/b.ts')], true);
  await saved(() => writeFileSync(join(folder, 'lib/b.ts'), '2'));
  await saved(() => writeFileSync(join(folder, 'real/a.ts'), '2'));
  assert.equal(changes.length, 2);
});

test('other files count only while it is not known what the module needs', async (t) => {
  const { folder, watch, changes, saved } = made(t);
  const [file, other] = [join(folder, 'a.ts'), join(folder, 'b.ts')];
  writeFileSync(file, '1');
  watch.setFiles([file], true);
  writeFileSync(other, '1');
  await saved(() => writeFileSync(file, '2'));
  assert.equal(changes.length, 1);
  watch.setFiles([file], false);
  await saved(() => writeFileSync(other, '2'));
  assert.equal(changes.length, 2);
  watch.setFiles([file], true);
  writeFileSync(other, '3');
  await saved(() => writeFileSync(file, readFileSync(file)));
  assert.equal(changes.length, 2);
});

test('a new file counts also if a known one has an event after it', async (t) => {
  const { folder, watch, clock, changes } = made(t);
  const file = join(folder, 'a.ts');
  writeFileSync(file, '1');
  watch.setFiles([file], false);
  for (const [name, text] of [
    ['b.ts', '1'],
    ['a.ts', '1'],
  ] as const) {
    const scheduled = clock.scheduled();
    writeFileSync(join(folder, name), text);
    await scheduled;
  }
  clock.advance(SETTLE_MS);
  assert.deepEqual(changes, [0]);
});

test('a folder that cannot be watched is reported, and so are too many', (t) => {
  const { folder, watch, problems } = made(t);
  watch.setFiles([join(folder, 'none/a.ts')], true);
  assert.match(problems[0] ?? '', /^changes in .*none are not noticed: .*ENOENT/);
  const folders = Array.from({ length: MAX_FOLDERS }, (_, index) => join(folder, String(index)));
  for (const one of folders) mkdirSync(one);
  watch.setFiles(
    folders.map((one) => join(one, 'a.ts')),
    true,
  );
  assert.match(problems[1] ?? '', /in more than 64 folders$/);
});
