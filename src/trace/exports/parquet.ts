/**
 * ParquetExport: the trace as a Parquet file with a row for each move (change of a slot's state),
 * for DuckDB, pandas and others. Interrupts have other fields, and are left out. Rows are collected
 * in groups, and a full group is written at once. So memory holds one group, and the metadata of
 * those before.
 *
 * Called by: the command line, for files named .parquet; programs that write a trace of their own.
 */

import { ByteWriter, ParquetWriter, type ColumnSource } from 'hyparquet-writer';
import type { Move } from '../move.js';
import { MoveRecords, type MoveRecord } from './move-record.js';
import type { TraceExport } from './trace-export.js';

/** Rows of one row group, the unit in which a Parquet file is written and read. */
export const ROW_GROUP_ROWS = 20_000;

interface Column {
  readonly name: string;
  readonly type: 'STRING' | 'INT32' | 'INT64' | 'BOOLEAN';
  /** The column's value in a row. */
  readonly of: (record: MoveRecord) => unknown;
}

/** Parquet has signed numbers: an unsigned one above 2^63 becomes negative. */
const int64 = (value: number | bigint | null): bigint | null =>
  value === null ? null : BigInt.asIntN(64, BigInt(value));

/** Snake case, as usual in SQL. `value` and `address` are 64 bits as a signed number. */
const COLUMNS: readonly Column[] = [
  { name: 'vm', type: 'STRING', of: ({ vm }) => vm },
  { name: 'time_ns', type: 'INT64', of: ({ timeNs }) => int64(timeNs) },
  { name: 'timed', type: 'BOOLEAN', of: ({ timed }) => timed },
  { name: 'stage_ns', type: 'INT64', of: ({ stageNs }) => int64(stageNs) },
  { name: 'vcpu', type: 'INT32', of: ({ vcpu }) => vcpu },
  { name: 'request', type: 'INT32', of: ({ request }) => request },
  { name: 'from_state', type: 'STRING', of: ({ from }) => from },
  { name: 'to_state', type: 'STRING', of: ({ to }) => to },
  { name: 'moved_by', type: 'STRING', of: ({ by }) => by },
  { name: 'client', type: 'STRING', of: ({ client }) => client },
  { name: 'type', type: 'STRING', of: ({ type }) => type },
  { name: 'direction', type: 'STRING', of: ({ direction }) => direction },
  { name: 'address', type: 'INT64', of: ({ address }) => int64(address) },
  { name: 'pci', type: 'STRING', of: ({ pci }) => pci },
  { name: 'size', type: 'INT32', of: ({ size }) => size },
  { name: 'value', type: 'INT64', of: ({ value }) => int64(value) },
  { name: 'refused', type: 'BOOLEAN', of: ({ refused }) => refused },
  { name: 'lost', type: 'INT32', of: ({ lost }) => lost },
];

export class ParquetExport implements TraceExport {
  readonly #records: MoveRecords;
  readonly #bytes = new ByteWriter();
  readonly #writer = new ParquetWriter({
    writer: this.#bytes,
    createdBy: 'upcall',
    schema: [
      { name: 'root', num_children: COLUMNS.length },
      ...COLUMNS.map(({ name, type }) =>
        type === 'STRING'
          ? ({ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const)
          : ({ name, type, repetition_type: 'OPTIONAL' } as const),
      ),
    ],
  });
  #rows: MoveRecord[] = [];

  constructor(vm: string) {
    this.#records = new MoveRecords(vm);
  }

  add(move: Move): Uint8Array | undefined {
    this.#rows.push(this.#records.record(move));
    if (this.#rows.length < ROW_GROUP_ROWS) return undefined;
    this.#writeGroup();
    return this.#takeBytes();
  }

  end(): Uint8Array {
    if (this.#rows.length > 0) this.#writeGroup();
    // Not awaited, here and in #writeGroup: with bytes that go to memory it is done on return.
    void this.#writer.finish();
    return this.#takeBytes();
  }

  #writeGroup(): void {
    const rows = this.#rows;
    this.#rows = [];
    void this.#writer.write({
      columnData: COLUMNS.map(({ name, of }): ColumnSource => ({ name, data: rows.map(of), offsetIndex: false })),
      rowGroupSize: ROW_GROUP_ROWS,
    });
  }

  /**
   * Takes the bytes written so far. The writer goes on with an empty buffer at the same offset of
   * the file, which ByteWriter counts apart from `index`.
   */
  #takeBytes(): Uint8Array {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    return bytes;
  }
}
