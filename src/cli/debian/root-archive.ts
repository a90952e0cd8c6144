/**
 * rootArchive: the files of packages as one tar archive of a root file system, in the state in
 * which dpkg has unpacked them and has still to configure them. `dpkg --configure -a` runs in the
 * guest. Sources: dpkg(1), deb-control(5), and dpkg's folder /var/lib/dpkg/info.
 *
 * Called by: rootImage. No script of a package runs here.
 */

import { createHash } from 'node:crypto';
import { packTar, type TarEntry } from 'modern-tar';
import { readDeb, type DebEntry } from './deb-file.js';
import { readFields } from './package-fields.js';

/** Folders of / that are links to those in /usr, since Debian 12. */
const MERGED = /^(?:bin|sbin|lib)(?=\/|$)/;
/** Documentation, which would be half of the files. Licences are kept. */
const LEFT_OUT = /^usr\/share\/(?:doc\/(?!(?:[^/]+\/)?(?:copyright)?$)|man\/|info\/|locale\/|lintian\/|bug\/)/;
const DPKG = 'var/lib/dpkg';
const RUNNABLE = /^(?:pre|post)(?:inst|rm)$|^config$/;

/** dpkg leaves these out as well, of packages that are installed later. */
export const DPKG_LEAVES_OUT = `path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/bug/*
`;

export interface RootFile {
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly mode?: number;
}

/**
 * `own` are files that no package has. `onPackage` is called before each package is read. Rejects
 * as readDeb does.
 */
export async function rootArchive(
  packages: readonly string[],
  own: readonly RootFile[],
  onPackage: (index: number) => void,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const root = new RootEntries();
  for (const [index, file] of packages.entries()) {
    onPackage(index);
    root.addPackage(await readDeb(file, 'control', undefined, signal), await readDeb(file, 'data', undefined, signal));
  }
  for (const { path, content, mode = 0o644 } of own) root.addFile(path, Buffer.from(content), mode);
  return packTar(root.entries());
}

class RootEntries {
  /** By path: a directory is in many packages. */
  readonly #entries = new Map<string, TarEntry>();
  readonly #status: string[] = [];

  constructor() {
    this.#addFolder('usr');
    for (const name of ['bin', 'sbin', 'lib']) {
      this.#addFolder(`usr/${name}`);
      this.#entries.set(name, { header: { name, type: 'symlink', linkname: `usr/${name}`, size: 0, mode: 0o777 } });
    }
    this.#addFolder('var');
    this.#addFolder('var/lib');
    for (const name of ['', '/info', '/updates', '/triggers']) this.#addFolder(`${DPKG}${name}`);
    this.addFile(`${DPKG}/info/format`, Buffer.from('1\n'));
    this.addFile(`${DPKG}/available`, Buffer.alloc(0));
  }

  addPackage(control: readonly DebEntry[], data: readonly DebEntry[]): void {
    const description = Buffer.from(control.find(({ path }) => path === 'control')?.content ?? []).toString();
    const fields = readFields(description);
    const name = fields.get('Package') ?? '';
    // A package that may be installed for several architectures is listed with its own.
    const listed = fields.get('Multi-Arch') === 'same' ? `${name}:${fields.get('Architecture')}` : name;
    for (const { path, content } of control)
      if (path !== 'control' && path !== '' && !path.includes('/'))
        this.addFile(`${DPKG}/info/${listed}.${path}`, content, RUNNABLE.test(path) ? 0o755 : 0o644);
    const paths = data.map(({ path }) => (path === '' ? '/.' : `/${path}`));
    this.addFile(`${DPKG}/info/${listed}.list`, Buffer.from(paths.map((path) => `${path}\n`).join('')));
    const conffiles = Buffer.from(control.find(({ path }) => path === 'conffiles')?.content ?? []).toString();
    this.#status.push(statusOf(description, conffiles, data));
    for (const entry of data) this.#addEntry(entry);
  }

  addFile(path: string, content: Uint8Array, mode = 0o644): void {
    const size = content.length;
    this.#entries.set(path, { header: { name: path, type: 'file', size, mode, uid: 0, gid: 0 }, body: content });
  }

  entries(): TarEntry[] {
    this.addFile(`${DPKG}/status`, Buffer.from(this.#status.join('\n')));
    return [...this.#entries.values()];
  }

  #addFolder(path: string): void {
    this.#entries.set(path, { header: { name: path, type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0 } });
  }

  #addEntry({ path: original, type, mode, uid, gid, seconds, target, content }: DebEntry): void {
    const path = merged(original);
    if (path === '' || LEFT_OUT.test(path) || (type === 'directory' && this.#entries.has(path))) return;
    const header = { name: path, type, mode, uid, gid, mtime: new Date(seconds * 1000), size: content.length };
    if (type === 'symlink') this.#entries.set(path, { header: { ...header, linkname: target } });
    else if (type === 'link') this.#entries.set(path, { header: { ...header, linkname: merged(target) } });
    else this.#entries.set(path, type === 'file' ? { header, body: content } : { header });
  }
}

function merged(path: string): string {
  return path.replace(MERGED, 'usr/$&');
}

/** The package's paragraph in dpkg's status file. Of configuration files it has the MD5. */
function statusOf(description: string, conffiles: string, data: readonly DebEntry[]): string {
  const lines = description.trimEnd().split('\n');
  const files = conffiles.split('\n').filter((line) => line.startsWith('/'));
  const sums = files.map((path) => {
    const content = data.find((entry) => `/${entry.path}` === path)?.content ?? new Uint8Array(0);
    return ` ${path} ${createHash('md5').update(content).digest('hex')}`;
  });
  const [first = '', ...rest] = lines;
  const known = sums.length === 0 ? [] : ['Conffiles:', ...sums];
  return [first, 'Status: install ok unpacked', ...rest, ...known, ''].join('\n');
}
