/** `upcall run --watch`: a guest of its own uses a device while its file is saved. */

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { WebSocket } from 'ws';
import { MAIN, start, upcall, type Started } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-watch-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'device.ts');

const source = (value: number): string => `
  export default class {
    name = 'test';
    read(): number { return ${value}; }
    write(): void {}
  }
`;

/** Resolves with what comes on standard error, once it has this text and the end of its line. */
function onError({ child }: Started, text: string): Promise<string> {
  let all = '';
  return new Promise((resolve) => {
    child.stderr.on('data', (bytes: Buffer) => {
      all += bytes.toString('latin1');
      if (all.includes('\n', all.indexOf(text)) && all.includes(text)) resolve(all);
    });
  });
}

test('a save replaces the device in the running guest, and an error leaves it there', async () => {
  writeFileSync(file, source(0x11));
  const session = start(process.execPath, [MAIN, 'run', 'monitor', '--device', `${file}@0x500`, '--watch'], {
    limitMs: 60_000,
  });
  const { child, ended } = session;
  const until = (text: string): Promise<void> => session.until(text);
  const input = async (command: string, output: string): Promise<void> => {
    child.stdin.write(`${command}\n`);
    await until(output);
  };
  await until('monitor>');
  await input('in8 500', '0x11');
  const reloaded = onError(session, 'upcall: device test was reloaded in ');
  writeFileSync(`${file}.new`, source(0x22));
  renameSync(`${file}.new`, file);
  await reloaded;
  await input('in8 500', '0x22');
  const failed = onError(session, 'device test was not reloaded, the old one stays: ');
  writeFileSync(file, 'export default 5;');
  await failed;
  await input('in8 500', '0x22');
  child.stdin.end('poweroff\n');
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /reloaded in \d+ ms, from its power-on state: it had no save\n/);
  assert.match(stderr, /exports no device: its default is of type number, not a class or function/);
});

/** A debugger's connection to a Node process. */
class Inspector {
  readonly #socket: WebSocket;
  #id = 0;
  readonly #waiting = new Map<string | number, (message: Protocol) => void>();
  /** The kind of source map of each script that was loaded from a file of this name. */
  readonly sourceMaps: string[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Protocol;
      const { url = '', sourceMapURL = '' } = message.params ?? {};
      if (url === pathToFileURL(file).href) this.sourceMaps.push(sourceMapURL.replace(/;.*/, ''));
      const key = message.id ?? message.method ?? '';
      const resolve = this.#waiting.get(key);
      this.#waiting.delete(key);
      resolve?.(message);
    });
  }

  static async open(url: string): Promise<Inspector> {
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return new Inspector(socket);
  }

  send(method: string, params = {}): Promise<Protocol> {
    const id = ++this.#id;
    this.#socket.send(JSON.stringify({ id, method, params }));
    return this.next(id);
  }

  /** The next event of this name, or the reply with this number. */
  next(key: string | number): Promise<Protocol> {
    return new Promise((resolve) => this.#waiting.set(key, resolve));
  }

  close(): void {
    this.#socket.close();
  }
}

interface Protocol {
  readonly id?: number;
  readonly method?: string;
  readonly params?: {
    readonly hitBreakpoints?: readonly string[];
    readonly callFrames?: readonly {
      readonly functionName: string;
      readonly location: { readonly lineNumber: number };
    }[];
    readonly url?: string;
    readonly sourceMapURL?: string;
  };
  readonly result?: { readonly breakpointId: string };
}

test('a breakpoint in the TypeScript source is hit before and after a reload', async () => {
  writeFileSync(file, source(0x11));
  const args = ['--inspect=0', MAIN, 'run', 'monitor', '--device', `${file}@0x500`, '--watch'];
  const session = start(process.execPath, args, { limitMs: 60_000 });
  const { child, ended } = session;
  const until = (text: string): Promise<void> => session.until(text);
  const listening = onError(session, 'Debugger listening on ');
  const [, url = ''] = /(ws:\S+)/.exec(await listening) ?? [];
  const inspector = await Inspector.open(url);
  await inspector.send('Debugger.enable');
  // The line of `read`, from 0.
  const { result } = await inspector.send('Debugger.setBreakpointByUrl', { urlRegex: 'device\\.ts$', lineNumber: 3 });
  await until('monitor>');
  const hit = async (value: string): Promise<void> => {
    const paused = inspector.next('Debugger.paused');
    child.stdin.write('in8 500\n');
    const { params } = await paused;
    assert.deepEqual(params?.hitBreakpoints, [result?.breakpointId]);
    const [frame] = params.callFrames ?? [];
    assert.deepEqual([frame?.functionName, frame?.location.lineNumber], ['read', 3]);
    await inspector.send('Debugger.resume');
    await until(value);
  };
  await hit('0x11');
  const reloaded = onError(session, 'was reloaded');
  writeFileSync(file, source(0x22));
  await reloaded;
  await hit('0x22');
  assert.deepEqual(
    inspector.sourceMaps,
    Array.from({ length: 2 }, () => 'data:application/json'),
  );
  inspector.close();
  child.stdin.end('poweroff\n');
  assert.equal((await ended).status, 0);
});

test('--watch without a device is refused', async () => {
  const { status, stderr } = await upcall(['run', 'monitor', '--watch']);
  assert.equal(status, 2);
  assert.match(stderr, /^upcall: --watch has no file to watch\. Give a device module as well/);
});
