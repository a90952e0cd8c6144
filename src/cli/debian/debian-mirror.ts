/**
 * DebianMirror: Debian's packages from a mirror, by HTTPS and without Debian's tools. A chain of
 * hashes leads from the signature to each package: InRelease, Packages.gz, the package.
 *
 * Called by: openSource, which creates it; fetchDebian and rootImage, as PackageSource.
 */

import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { errorText } from '../../io-request/error-text.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Architecture } from './architecture.js';
import { downloadBytes, downloadTo } from './http-download.js';
import { readFields, type PackageFields } from './package-fields.js';
import type { PackageSource, Progress } from './package-source.js';
import { withDependencies } from './root-packages.js';
import type { GuestSources } from './root-files.js';
import { readSignedRelease, type IndexedFile } from './signed-release.js';

export interface MirrorOptions {
  readonly architecture: Architecture;
  /** E.g. "https://deb.debian.org/debian". */
  readonly url: string;
  /** Packages are written to this folder. */
  readonly folder: string;
  readonly keys: readonly Uint8Array[];
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** The last release with kernels for i386. */
const CODENAME = 'bookworm';
/** Limits, each several times what Debian 12 has: 151 kB, 12 MB, 49 MB, and 70 MB for a kernel. */
const MAX_RELEASE_BYTES = 4 * 2 ** 20;
const MAX_INDEX_BYTES = 64 * 2 ** 20;
const MAX_UNPACKED_INDEX_BYTES = 256 * 2 ** 20;
const MAX_PACKAGE_BYTES = 512 * 2 ** 20;
const MIB = 2 ** 20;
/** A path without "..", and without characters that end the path of a URL. */
const POOL_PATH = /^pool\/(?:(?!\.\.)[\w.+~-]+\/)+[\w.+~%-]+\.deb$/;

export class DebianMirror implements PackageSource {
  readonly remedy: string;
  readonly #options: MirrorOptions;
  /** The path of the list of packages, below that of the release. */
  readonly #list: string;
  /** The text of Packages, and where each package's description begins. */
  #index = '';
  readonly #places = new Map<string, number>();

  constructor(options: MirrorOptions) {
    this.remedy = `Give the mirror of an archive that has Debian 12 (bookworm) for ${options.architecture}`;
    this.#options = options;
    this.#list = `main/binary-${options.architecture}/Packages.gz`;
  }

  async update(): Promise<string> {
    const { architecture, keys, signal, progress } = this.#options;
    const release = `dists/${CODENAME}`;
    const step = `Reading the signed package list of ${this.#options.url} (${architecture})`;
    progress(step);
    const url = this.#urlOf(`${release}/InRelease`);
    const text = await downloadBytes({ url, maxBytes: MAX_RELEASE_BYTES, signal });
    const { files } = await readSignedRelease(text.toString(), { url, keys, codename: CODENAME });
    const expected = files.get(this.#list);
    if (expected === undefined) throw failed(`${url} has no ${this.#list}`, this.remedy);
    const packed = await downloadBytes({
      url: this.#urlOf(`${release}/${this.#list}`),
      expected,
      maxBytes: MAX_INDEX_BYTES,
      signal,
      onBytes: (bytes) => progress(step, share(bytes, expected)),
    });
    const unpacked = await promisify(gunzip)(packed, { maxOutputLength: MAX_UNPACKED_INDEX_BYTES }).catch(
      (error: unknown) => {
        throw failed(`${url} has an ${this.#list} that cannot be unpacked: ${errorText(error).message}`, this.remedy);
      },
    );
    this.#index = unpacked.toString();
    for (const { index, 1: name } of this.#index.matchAll(/^Package: (\S+)$/gm))
      // A mirror lists a package once; of several versions the first one counts.
      if (!this.#places.has(name as string)) this.#places.set(name as string, index);
    return '';
  }

  show(name: string): Promise<PackageFields | undefined> {
    return Promise.resolve(this.#find(name));
  }

  names(prefix: string): Promise<string[]> {
    return Promise.resolve([...this.#places.keys()].filter((name) => name.startsWith(prefix)));
  }

  async download(names: readonly string[]): Promise<string[]> {
    const { folder, signal, progress } = this.#options;
    const packages = await Promise.all(names.map(async (name) => this.#placeOf(name, await this.show(name))));
    const total = packages.reduce((sum, { expected }) => sum + expected.bytes, 0);
    const step = `Downloading ${names.length > 3 ? `${names.length} packages` : names.join(' and ')}`;
    const files: string[] = [];
    let before = 0;
    for (const { path, expected } of packages) {
      const file = join(folder, basename(path));
      await downloadTo(file, {
        url: this.#urlOf(path),
        expected,
        maxBytes: MAX_PACKAGE_BYTES,
        signal,
        onBytes: (bytes) => progress(step, share(before + bytes, { bytes: total })),
      });
      before += expected.bytes;
      files.push(file);
    }
    return files;
  }

  downloadWithNeeds(names: readonly string[]): Promise<string[]> {
    const essential: string[] = [];
    const provided = new Map<string, string[]>();
    for (const [name, start] of this.#places) {
      const fields = this.#fieldsAt(start);
      if (fields.get('Essential') === 'yes') essential.push(name);
      for (const virtual of (fields.get('Provides') ?? '').split(','))
        mapEntry(provided, virtual.trim().replace(/[ :(].*$/, '')).push(name);
    }
    const { chosen, missing } = withDependencies([...names, ...essential], {
      show: (name) => this.#find(name),
      providers: (name) => provided.get(name) ?? [],
    });
    if (missing.length > 0)
      throw failed(`${this.#options.url} has no ${missing.join(', ')} for ${this.#options.architecture}`, this.remedy);
    return this.download(chosen);
  }

  guestSources(): Promise<GuestSources> {
    const { url } = this.#options;
    const lines = [CODENAME, `${CODENAME}-updates`].map((suite) => `deb ${url} ${suite} main`);
    return Promise.resolve({ lines, configuration: [], certificates: [] });
  }

  #placeOf(name: string, fields: PackageFields | undefined): { path: string; expected: IndexedFile } {
    const path = fields?.get('Filename') ?? '';
    const sha256 = fields?.get('SHA256') ?? '';
    const bytes = Number(fields?.get('Size'));
    if (!POOL_PATH.test(path) || !/^[0-9a-f]{64}$/.test(sha256) || !Number.isSafeInteger(bytes))
      throw failed(`${this.#options.url} lists ${name} without a valid path, size and SHA-256`, this.remedy);
    return { path, expected: { bytes, sha256 } };
  }

  #find(name: string): PackageFields | undefined {
    const start = this.#places.get(name);
    return start === undefined ? undefined : this.#fieldsAt(start);
  }

  #fieldsAt(start: number): PackageFields {
    const end = this.#index.indexOf('\n\n', start);
    return readFields(this.#index.slice(start, end === -1 ? undefined : end));
  }

  #urlOf(path: string): string {
    return `${this.#options.url.replace(/\/+$/, '')}/${path}`;
  }
}

function mapEntry(map: Map<string, string[]>, key: string): string[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

function share(bytes: number, { bytes: total }: { readonly bytes: number }): string {
  return `${(bytes / MIB).toFixed(0)} of ${(total / MIB).toFixed(0)} MiB`;
}

function failed(fact: string, remedy: string): UpcallError {
  return new UpcallError('DOWNLOAD_FAILED', fact, { remedy });
}
