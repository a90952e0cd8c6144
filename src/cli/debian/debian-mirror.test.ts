import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { UpcallError, type UpcallErrorCode } from '../../io-request/upcall-error.js';
import { DebianMirror } from './debian-mirror.js';
import { INDEX_PATH, RELEASE_PATH, SignedArchive } from './fixtures/signed-archive.js';

const PACKAGE = '/debian/pool/main/x/hello/hello_1_i386.deb';
const CONTENT = Buffer.from('a package');
let archive: SignedArchive;
let other: SignedArchive;
let folder: string;
let steps: string[] = [];

before(async () => {
  [archive, other] = [await SignedArchive.open([]), await SignedArchive.open([])];
  folder = await mkdtemp(join(tmpdir(), 'upcall-mirror-'));
});
after(async () => {
  await archive.close();
  await other.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  archive.requests.length = 0;
  await archive.put([{ name: 'hello', file: CONTENT, depends: 'libc6 (>= 2), x | y' }]);
});

let runs = 0;
async function mirror(
  options: { keys?: Uint8Array[]; signal?: AbortSignal; url?: string } = {},
): Promise<DebianMirror> {
  const work = join(folder, `run-${runs++}`);
  await mkdir(work);
  return new DebianMirror({
    architecture: 'i386',
    url: archive.url,
    folder: work,
    keys: [archive.key],
    progress: (step, part) => steps.push(part === undefined ? step : `${step}: ${part}`),
    ...options,
  });
}
async function fetchHello(options: Parameters<typeof mirror>[0] = {}): Promise<Buffer> {
  const source = await mirror(options);
  assert.equal(await source.update(), '');
  const [file = ''] = await source.download(['hello']);
  return readFile(file);
}

async function refused(
  code: UpcallErrorCode,
  message: RegExp,
  options: Parameters<typeof mirror>[0] = {},
): Promise<void> {
  const error: unknown = await fetchHello(options).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof UpcallError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.match(error.remedy ?? '', /^(?:Give|Try|Check) /);
}

test('a package comes by the chain of hashes from the signed release file', async () => {
  steps = [];
  assert.deepEqual(await fetchHello(), CONTENT);
  assert.deepEqual(archive.requests, [RELEASE_PATH, INDEX_PATH, PACKAGE]);
  assert.match(steps[0] ?? '', /signed package list of http:\/\/127/);
  assert.equal(steps.at(-1), 'Downloading hello: 0 of 0 MiB');
});

test('descriptions and names are those of the index', async () => {
  await archive.put([
    { name: 'hello', file: CONTENT, depends: 'libc6 (>= 2), x | y' },
    { name: 'hello-world', file: CONTENT },
  ]);
  const source = await mirror();
  await source.update();
  assert.deepEqual(await source.names('hel'), ['hello', 'hello-world']);
  assert.equal((await source.show('hello'))?.get('Depends'), 'libc6 (>= 2), x | y');
  assert.equal((await source.show('hello-world'))?.get('Depends'), undefined);
  assert.equal(await source.show('hell'), undefined);
});

test('a signed package list that cannot be unpacked is refused', async () => {
  const index = Buffer.from('no gzip');
  archive.files.set(INDEX_PATH, index);
  await archive.sign(archive.fields(index).join('\n'));
  await refused('DOWNLOAD_FAILED', /Packages\.gz that cannot be unpacked: incorrect header/);
});

test('a release file that another key has signed is refused, and nothing else is fetched', async () => {
  await refused('SIGNATURE_INVALID', /InRelease is not signed by Debian: Could not find signing key/, {
    keys: [other.key],
  });
  assert.deepEqual(archive.requests, [RELEASE_PATH]);
});

test('one known key of several is enough', async () => {
  assert.deepEqual(await fetchHello({ keys: [other.key, archive.key] }), CONTENT);
});

test('a release file that was changed, is not signed, or is cut off is refused', async () => {
  const signed = Buffer.from(archive.files.get(RELEASE_PATH) ?? []).toString();
  const changed = [
    signed.replace('Codename: bookworm', 'Codename: bookworn'),
    signed.replace(/Packages\.gz/, 'Packages.xz'),
    signed.slice(0, signed.indexOf('-----BEGIN PGP SIGNATURE')),
    signed.slice(0, signed.length / 2),
    'Codename: bookworm\nSHA256:\n',
    '<html>Sign in to this network</html>',
    '',
  ];
  for (const text of changed) {
    archive.files.set(RELEASE_PATH, Buffer.from(text));
    await refused('SIGNATURE_INVALID', /InRelease is not signed by Debian: ./);
  }
});

test('only what the signature covers counts', async () => {
  const signed = Buffer.from(archive.files.get(RELEASE_PATH) ?? []).toString();
  const unsigned = `Codename: bookworm\nSHA256:\n ${'0'.repeat(64)} 1 main/binary-i386/Packages.gz\n`;
  for (const text of [`${unsigned}\n${signed}`, `${signed}\n${unsigned}`]) {
    archive.files.set(RELEASE_PATH, Buffer.from(text));
    assert.deepEqual(await fetchHello(), CONTENT);
  }
});

test('a signed file of another release is refused', async () => {
  await archive.sign(archive.fields(archive.files.get(INDEX_PATH) ?? CONTENT, 'trixie').join('\n'));
  await refused('SIGNATURE_INVALID', /is of the release "trixie", not of "bookworm"/);
});

test('a release file is refused after the end of its validity, and if that is no date', async () => {
  const fields = archive.fields(archive.files.get(INDEX_PATH) ?? CONTENT);
  for (const until of ['Sat, 01 Jan 2022 00:00:00 UTC', 'soon']) {
    await archive.sign([`Valid-Until: ${until}`, ...fields].join('\n'));
    await refused('SIGNATURE_INVALID', new RegExp(`was valid until ${until}, and it is `));
  }
  await archive.sign(['Valid-Until: Sun, 01 Jan 2995 00:00:00 UTC', ...fields].join('\n'));
  assert.deepEqual(await fetchHello(), CONTENT);
});

test('an index or a package of other bytes, fewer or more is refused', async () => {
  for (const path of [INDEX_PATH, PACKAGE]) {
    const right = Buffer.from(archive.files.get(path) ?? []);
    const other = Buffer.from(right);
    other[right.length - 1] = (right[right.length - 1] ?? 0) ^ 1;
    archive.files.set(path, other);
    await refused('DOWNLOAD_FAILED', /has the SHA-256 [0-9a-f]{64}, and the signed index states [0-9a-f]{64}$/);
    archive.files.set(path, right.subarray(1));
    await refused('DOWNLOAD_FAILED', /ended after \d+ of the \d+ bytes that the signed index states/);
    archive.files.set(path, Buffer.concat([right, right]));
    await refused('DOWNLOAD_FAILED', /has more than the \d+ bytes/);
    archive.files.delete(path);
    await refused('DOWNLOAD_FAILED', /the server answers with status 404/);
    archive.files.set(path, right);
  }
});

test('sizes beyond the limits, and paths out of the pool, are refused', async () => {
  const paragraph = (path: string, size: number): string =>
    `Package: hello\nFilename: ${path}\nSize: ${size}\nSHA256: ${'0'.repeat(64)}\n`;
  await archive.putIndex(paragraph('pool/h/hello.deb', 2 ** 40));
  await refused('DOWNLOAD_FAILED', /has 1099511627776 bytes, more than /);
  for (const path of ['../hello.deb', 'pool/../../hello.deb', 'pool/h/hello.deb?x', 'http://elsewhere/hello.deb', '']) {
    await archive.putIndex(paragraph(path, 9));
    await refused('DOWNLOAD_FAILED', /lists hello without a valid path/);
  }
  await archive.sign('Codename: bookworm\nSHA256:\n');
  await refused('DOWNLOAD_FAILED', /InRelease has no main\/binary-i386\/Packages\.gz/);
});

test('a release file without end is read up to its limit', async () => {
  archive.files.set(RELEASE_PATH, Buffer.alloc(5 * 2 ** 20));
  await refused('DOWNLOAD_FAILED', /more than the 4194304 bytes/);
});

test('a server that does not exist is reported with the reason', async () => {
  const closed = await SignedArchive.open([]);
  const { url } = closed;
  await closed.close();
  await refused('DOWNLOAD_FAILED', /cannot be fetched: .*ECONNREFUSED/, { url });
});

test('an abort ends the download with its reason', async () => {
  const stop = AbortSignal.abort(new Error('enough'));
  await assert.rejects(fetchHello({ signal: stop }), { message: 'enough' });
});
