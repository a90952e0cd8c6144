/** `upcall run debian --watch`: a program of Debian uses devices while their files are saved. */

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { whyNoDebian } from './needed-guest.js';
import { MAIN, start } from './upcall-process.js';

// The first run fetches a kernel, which may take long.
const options = { timeout: 240_000, skip: await whyNoDebian() };

const folder = mkdtempSync(join(tmpdir(), 'upcall-watch-debian-'));
after(() => rmSync(folder, { recursive: true }));

/** Reads as its version at 0, and as what was written at 4. */
const source = (version: number): string => `
  import type { AccessSize, Device } from 'upcall';

  export default class Versioned implements Device {
    readonly name = 'versioned';
    #written = 0;
    read(offset: number, _size: AccessSize): number { return offset === 0 ? ${version} : this.#written; }
    write(offset: number, _size: AccessSize, value: number): void { if (offset === 4) this.#written = value; }
    save(): number { return this.#written; }
    restore(written: number): void { this.#written = written; }
  }
`;

/** Prints what the device at `address` reads as, until it is version 3. */
const loop = (address: string): string =>
  `devmem 0x${address}4 32 0x600; l=; v=; until [ x$v = x0x00000003 ]; do v=$(devmem 0x${address}0 32); ` +
  `[ x$v = x$l ] || echo ${address} is $v, wrote $(devmem 0x${address}4 32); l=$v; done`;

test('a program of Debian sees each save of the devices that it uses, and their state', options, async () => {
  const places = [
    ['local.ts', 'd000000', ''],
    ['threaded.ts', 'd000100', ',thread'],
  ] as const;
  const save = (file: string, version: number): void => {
    const path = join(folder, file);
    writeFileSync(`${path}.new`, source(version));
    renameSync(`${path}.new`, path);
  };
  for (const [file] of places) save(file, 1);
  const devices = places.flatMap(([file, address, words]) => [
    '--device',
    `${join(folder, file)}@mmio:0x${address}0+16${words}`,
  ]);
  const commands = places.map(([, address]) => `(${loop(address)})`).join('; ');
  const session = start(process.execPath, [MAIN, 'run', 'debian', '--watch', ...devices, '--run', commands]);
  for (const [file, address] of places)
    for (const version of [1, 2, 3]) {
      if (version > 1) save(file, version);
      await session.until(`${address} is 0x0000000${version}, wrote 0x00000600`);
    }
  const { status, stderr } = await session.ended;
  assert.equal(status, 0, stderr);
  assert.equal(stderr.match(/device versioned was reloaded in \d+ ms, with its state/g)?.length, 4, stderr);
});
