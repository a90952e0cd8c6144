import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { unpackTar } from 'modern-tar';
import { debArchive } from './fixtures/deb-archive.js';
import { rootArchive } from './root-archive.js';

const folder = await mkdtemp(join(tmpdir(), 'upcall-root-archive-'));
after(() => rm(folder, { recursive: true }));
const bytes = (text: string): Buffer => Buffer.from(text);

test('the archive has the files and dpkg’s records of unpacked packages, on a merged /usr', async () => {
  const packages = [join(folder, 'x.deb'), join(folder, 'y.deb')];
  const control = 'Package: x\nVersion: 1\nMulti-Arch: same\nArchitecture: i386\nDescription: short\n more\n';
  await writeFile(
    packages[0] ?? '',
    debArchive(
      [
        ['bin/x', bytes('program')],
        ['etc/x.conf', bytes('setting')],
        ['usr/share/doc/x/copyright', bytes('licence')],
        ['usr/share/doc/x/README', bytes('text')],
        ['usr/share/man/man1/x.1', bytes('manual')],
      ],
      [
        ['control', bytes(control)],
        ['conffiles', bytes('/etc/x.conf\n')],
        ['postinst', bytes('#!/bin/sh\n')],
      ],
    ),
  );
  await writeFile(
    packages[1] ?? '',
    debArchive([['lib/y', bytes('library')]], [['control', bytes('Package: y\nArchitecture: all\n')]]),
  );
  const seen: number[] = [];
  const archive = await rootArchive(
    packages,
    [{ path: 'etc/hostname', content: 'debian\n' }],
    (index) => void seen.push(index),
  );
  assert.deepEqual(seen, [0, 1]);
  const entries = await unpackTar(archive);
  const paths = entries.map(({ header }) => header.name.replace(/\/$/, ''));
  assert.equal(new Set(paths).size, paths.length, 'each path once');
  const content = (path: string): string =>
    Buffer.from(entries.find(({ header }) => header.name === path)?.data ?? []).toString();
  assert.equal(entries.find(({ header }) => header.name === 'bin')?.header.linkname, 'usr/bin');
  assert.equal(content('usr/bin/x'), 'program');
  assert.equal(content('usr/lib/y'), 'library');
  assert.equal(content('etc/hostname'), 'debian\n');
  assert.equal(content('usr/share/doc/x/copyright'), 'licence');
  assert.ok(!paths.some((path) => /README|man1/.test(path)), paths.join());
  assert.match(content('var/lib/dpkg/info/x:i386.list'), /^\/\.\n(?:.*\n)*\/bin\/x\n/);
  assert.equal(content('var/lib/dpkg/info/x:i386.postinst'), '#!/bin/sh\n');
  assert.equal(entries.find(({ header }) => header.name.endsWith('.postinst'))?.header.mode, 0o755);
  assert.equal(
    content('var/lib/dpkg/status'),
    'Package: x\nStatus: install ok unpacked\nVersion: 1\nMulti-Arch: same\nArchitecture: i386\n' +
      'Description: short\n more\nConffiles:\n /etc/x.conf 7dc22b2c6a992f0232345df41303f5ea\n\n' +
      'Package: y\nStatus: install ok unpacked\nArchitecture: all\n',
  );
});

test('an abort ends the reading', async () => {
  await assert.rejects(
    rootArchive([join(folder, 'x.deb')], [], () => undefined, AbortSignal.abort(new Error('enough'))),
    { message: 'enough' },
  );
});
