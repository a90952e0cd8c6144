/** Another process swaps directories and files with links that lead out. A guest uses them. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { O, ROOT, ShareClient } from './fixtures/share-client.js';
import { ShareError } from './fixtures/share-messages.js';
import { LINUX_ONLY, SECRET, shareTemp } from './fixtures/shared-temp.js';

const SWAPS = 10_000;
/** Each with fids and names of its own. */
const USERS = 8;
const PROGRAM = fileURLToPath(new URL('fixtures/swapping-process.js', import.meta.url));
const INSIDE = 'inside\n';

test(
  'a guest that races with swaps of directories and links reaches nothing outside',
  { timeout: 240_000, ...LINUX_ONLY },
  async (context) => {
    const { device, folder, outside, path } = await shareTemp(context);
    mkdirSync(join(path, 'd'));
    writeFileSync(join(path, 'd/file'), INSIDE);
    writeFileSync(join(path, 'f'), INSIDE);
    writeFileSync(join(outside, 'file'), SECRET);
    chmodSync(join(outside, 'file'), 0o604);
    const state = (): unknown => {
      const { mode, mtimeMs, ctimeMs, ino, nlink } = statSync(join(outside, 'file'));
      const text = readFileSync(join(outside, 'file'), 'utf8');
      return { names: readdirSync(outside).sort(), mode, mtimeMs, ctimeMs, ino, nlink, text };
    };
    const before = state();
    const passwd = readFileSync('/etc/passwd', 'utf8');

    const client = await ShareClient.mount(device);
    const seen = { directory: 0, link: 0, file: 0, otherFile: 0, made: 0 };
    const actsOf = (user: number): readonly (() => Promise<void>)[] => {
      const scratch = 2 * user + 1;
      const made = 2 * user + 2;
      /** Runs `act` with a fid of what `name` is at the moment. Errors are answers. */
      const attempt = async (names: readonly string[], act: (fid: number) => Promise<void>): Promise<void> => {
        const found = await client.walkTo(ROOT, scratch, ...names).catch(() => []);
        if (found.length < names.length) return;
        try {
          await act(scratch);
        } catch (error) {
          if (!(error instanceof ShareError)) throw error;
        } finally {
          await client.clunk(scratch);
        }
      };
      return [
        () =>
          attempt(['d', 'file'], async (fid) => {
            seen.directory++;
            await client.open(fid, O.RDONLY);
            assert.equal((await client.read(fid, 0, 100)).toString(), INSIDE);
          }),
        () =>
          attempt(['d'], async (fid) => {
            const { type } = (await client.getattr(fid)).qid;
            if (type !== 0x80) seen.link++;
            await client.open(fid, O.RDONLY);
            for (const { name } of await client.readdir(fid, 0, 8000))
              assert.ok(!['secret', 'etc'].includes(name), name);
          }),
        async () => assert.ok((await client.walkTo(ROOT, made, 'd', 'etc', 'passwd').catch(() => [])).length < 3),
        () =>
          attempt(['d'], async (fid) => {
            await client.walkTo(fid, made);
            try {
              await client.create(made, `new-${user}`, O.RDWR, 0o666);
              seen.made++;
              await client.renameat(fid, `new-${user}`, fid, `renamed-${user}`);
            } finally {
              await client.clunk(made);
            }
            await client.mkdir(fid, `directory-${user}`);
            await client.symlink(fid, `l-${user}`, 'x');
            await client.unlinkat(fid, `l-${user}`);
            await client.unlinkat(fid, `directory-${user}`, 0x200);
            await client.unlinkat(fid, `renamed-${user}`);
          }),
        () => attempt(['d', 'file'], (fid) => client.setattr(fid, { mode: 0o600, modified: 5 })),
        () => attempt(['d'], (fid) => client.setattr(fid, { modified: 6 })),
        () =>
          attempt(['f'], async (fid) => {
            try {
              await client.open(fid, O.RDWR);
              seen.file++;
            } catch (error) {
              seen.otherFile++;
              throw error;
            }
            await client.write(fid, 0, Buffer.from(INSIDE));
            assert.equal((await client.read(fid, 0, 100)).toString(), INSIDE);
          }),
        () => attempt(['f'], (fid) => client.setattr(fid, { mode: 0o640, modified: 7 })),
        () => attempt(['f'], (fid) => client.setattr(fid, { size: INSIDE.length })),
        () =>
          attempt(['d', 'file'], (fid) =>
            client.link(ROOT, fid, `hard-${user}`).then(() => client.unlinkat(ROOT, `hard-${user}`)),
          ),
        () =>
          attempt([], async (fid) => {
            await client.create(fid, 'f', O.RDWR, 0o640);
            await client.write(fid, 0, Buffer.from(INSIDE));
          }),
      ];
    };

    const swapper = spawn(process.execPath, [PROGRAM, path, outside, String(SWAPS)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    context.after(() => swapper.kill('SIGKILL'));
    let errors = '';
    swapper.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    let status: number | null | undefined;
    swapper.on('exit', (code) => (status = code));
    let rounds = 0;
    const use = async (user: number): Promise<void> => {
      const acts = actsOf(user);
      for (; status === undefined; rounds++) for (const act of acts) await act();
    };
    await Promise.all(Array.from({ length: USERS }, (_, user) => use(user)));

    assert.equal(status, 0, errors);
    assert.deepEqual(state(), before);
    assert.equal(readFileSync('/etc/passwd', 'utf8'), passwd);
    assert.ok(lstatSync(join(path, 'd')).isDirectory());
    assert.deepEqual(readdirSync(join(path, 'd')), ['file']);
    context.diagnostic(`${SWAPS} swaps, ${rounds} rounds, ${JSON.stringify(seen)}`);
    for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, what);
    client.driver.reset();
    assert.equal((await ShareClient.mount(device)).messageBytes, 65_536);
    assert.equal(folder.openHandles, 1);
  },
);
