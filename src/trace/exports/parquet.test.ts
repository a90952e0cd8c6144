import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { madeMove } from './fixtures/made-move.js';
import { ParquetExport, ROW_GROUP_ROWS } from './parquet.js';

function fileOf(pieces: readonly (Uint8Array | undefined)[]): ArrayBuffer {
  const bytes = Buffer.concat(pieces.filter((piece) => piece !== undefined));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

test('a row has a column for each field, 64-bit numbers as signed ones, and nulls', async () => {
  const one = new ParquetExport('vm');
  const place = { bus: 1, device: 0x1f, function: 2, register: 0x40 };
  const moves = [
    madeMove({ timeNs: 100, vcpu: 3, requestNumber: 4, client: 'disk', lost: 2 }),
    madeMove({ timeNs: 130, vcpu: 3, requestNumber: 4, from: 'PENDING', to: 'PROCESSING', by: 'hsm', isRefused: true }),
    madeMove({
      isTimed: false,
      request: { type: 'mmio', direction: 'write', address: 2 ** 40, size: 8, value: 0xffff_ffff_ffff_ffffn },
    }),
    madeMove({ request: { type: 'pci', direction: 'read', size: 4, value: 0, ...place } }),
  ];
  const file = fileOf([...moves.map((move) => one.add(move)), one.end()]);
  const [first, second, third, fourth] = (await parquetReadObjects({ file })) as Record<string, unknown>[];
  assert.deepEqual(first, {
    vm: 'vm',
    time_ns: 100n,
    timed: true,
    stage_ns: null,
    vcpu: 3,
    request: 4,
    from_state: 'FREE',
    to_state: 'PENDING',
    moved_by: 'vcpu',
    client: 'disk',
    type: 'port',
    direction: 'read',
    address: 0x60n,
    pci: null,
    size: 1,
    value: 0x5an,
    refused: false,
    lost: 2,
  });
  assert.deepEqual([second?.['stage_ns'], second?.['refused'], second?.['moved_by']], [30n, true, 'hsm']);
  assert.deepEqual([third?.['address'], third?.['value'], third?.['timed']], [2n ** 40n, -1n, false]);
  assert.deepEqual([fourth?.['pci'], fourth?.['address']], ['01:1f.2 0x40', null]);
});

test('rows are written in groups, each as soon as it is full', () => {
  assert.equal(ROW_GROUP_ROWS, 20_000);
  const one = new ParquetExport('vm');
  const pieces = Array.from({ length: 20_001 }, () => one.add(madeMove({})));
  assert.deepEqual(
    pieces.flatMap((piece, i) => (piece === undefined ? [] : [i])),
    [19_999],
  );
  const metadata = parquetMetadata(fileOf([...pieces, one.end()]));
  assert.deepEqual(
    metadata.row_groups.map((group) => Number(group.num_rows)),
    [20_000, 1],
  );
});

test('a full group leaves none for the end', () => {
  const one = new ParquetExport('vm');
  const pieces = Array.from({ length: 20_000 }, () => one.add(madeMove({})));
  assert.equal(parquetMetadata(fileOf([...pieces, one.end()])).row_groups.length, 1);
});
