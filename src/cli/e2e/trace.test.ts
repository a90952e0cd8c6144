import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import { upcall } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-trace-'));
after(() => rmSync(folder, { recursive: true }));

interface Row {
  readonly from: string;
  readonly to: string;
  readonly client: string | null;
  readonly request: number;
}

test('a traced guest runs unchanged, and each file has every move', async () => {
  const [perfetto, jsonl, parquet] = ['a.pftrace', 'a.jsonl', 'a.parquet'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const { status, stdout, stderr } = await upcall([
    'trace',
    'hello',
    '--perfetto',
    perfetto,
    '--jsonl',
    jsonl,
    '--parquet',
    parquet,
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /Hello from the guest/);
  const moves = Number(/(\d+) moves(?: and \d+ interrupt events)? traced$/m.exec(stderr)?.[1]);
  const rows = readFileSync(jsonl, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
    .filter((row) => !('interrupt' in row));
  assert.equal(rows.length, moves, stderr);
  const numbers = [...new Set(rows.map(({ request }) => request))];
  // The last one powered the machine off.
  const finished = numbers.slice(0, -1).map((number) => rows.filter(({ request }) => request === number));
  assert.ok(finished.length > 5);
  for (const of of finished)
    assert.deepEqual(
      of.map(({ from, to }) => `${from} → ${to}`),
      ['FREE → PENDING', 'PENDING → PROCESSING', 'PROCESSING → COMPLETE', 'COMPLETE → FREE'],
    );
  const bytes = readFileSync(parquet);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  assert.equal((await parquetReadObjects({ file })).length, moves);
  assert.ok(readFileSync(perfetto).includes('uart16550'));
});

test('with --jsonl - standard output is only the trace of the selected requests', async () => {
  const { status, stdout, stderr } = await upcall([
    'trace',
    'hello',
    '--jsonl',
    '-',
    '--client',
    'uart16550',
    '--limit',
    '8',
  ]);
  assert.equal(status, 0, stderr);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
  assert.equal(rows.length, 8);
  assert.deepEqual([...new Set(rows.slice(1, 4).map(({ client }) => client))], ['uart16550']);
  assert.match(stderr, /Hello from the guest/);
});

test('an unwritable file and an invalid address are refused in one line', async () => {
  const folderAsFile = await upcall(['trace', 'hello', '--perfetto', folder]);
  assert.equal(folderAsFile.status, 2);
  assert.match(folderAsFile.stderr, /^upcall: cannot write .*\n$/);
  const noAddress = await upcall(['trace', 'hello', '--address', '9-3']);
  assert.equal(noAddress.status, 2);
  assert.match(noAddress.stderr, /^upcall: --address 9-3: expected an address or a range of addresses.*\n$/);
});
