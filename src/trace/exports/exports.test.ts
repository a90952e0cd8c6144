import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import protobuf from 'protobufjs';
import { IoRequestType } from '../../io-request/layout.js';
import type { Move } from '../move.js';
import { TracedPage } from '../fixtures/traced-page.js';
import { PERFETTO_SCHEMA } from './fixtures/perfetto-schema.js';
import { JsonLinesExport } from './json-lines.js';
import { ParquetExport, ROW_GROUP_ROWS } from './parquet.js';
import { PerfettoExport } from './perfetto.js';
import type { TraceExport } from './trace-export.js';

const UART = { name: 'uart16550' };
const DEFAULT = { name: 'default' };

/**
 * A port write to the UART, an 8-byte MMIO read of vCPU 1 that no client claims, and one that the
 * HSM answers.
 */
async function someMoves(): Promise<Move[]> {
  const page = new TracedPage();
  const trace = page.trace.watch();
  page.play({ address: 0x3f8, isRead: false, value: 0x41 }, UART);
  page.play({ vcpu: 1, address: 0xf_ffff_fff0, type: IoRequestType.MMIO, size: 8, answer: -1 }, DEFAULT);
  page.play({ address: 0xcf8, size: 4 }, undefined);
  page.trace.close();
  const moves: Move[] = [];
  for await (const move of trace) moves.push(move);
  return moves;
}

function written(one: TraceExport, moves: readonly Move[]): Uint8Array {
  const pieces = moves.map((move) => one.add(move)).filter((piece) => piece !== undefined);
  return Buffer.concat([...pieces, one.end()]);
}

test('JSON Lines: an object in each line, with the stages, and 8-byte values as strings', async () => {
  const moves = await someMoves();
  const text = Buffer.from(written(new JsonLinesExport('vm'), moves)).toString();
  const rows = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(rows.length, moves.length);
  const answered = rows.find(({ client, to }) => client === 'default' && to === 'COMPLETE');
  assert.equal(answered?.['value'], '0xffffffff');
  assert.deepEqual([answered['address'], answered['size'], answered['by']], [0xf_ffff_fff0, 8, 'client']);
  assert.ok(Number(answered['stageNs']) >= 0);
  const first = rows[0];
  assert.deepEqual([first?.['vm'], first?.['stageNs'], first?.['client'], first?.['value']], ['vm', null, null, 0x41]);
});

test('a move without a time in a burst has no stage time, and neither has the next move', async () => {
  const page = new TracedPage(Infinity);
  const trace = page.trace.watch();
  for (let i = 0; i < 3; i++) page.play({}, UART);
  page.trace.close();
  const moves: Move[] = [];
  for await (const move of trace) moves.push(move);
  const text = Buffer.from(written(new JsonLinesExport('vm'), moves)).toString();
  const rows = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const hasStage = rows.map(({ timed, stageNs }) => [timed, stageNs !== null]);
  const [whole, part] = [hasStage.slice(4, 8), hasStage.slice(8)];
  assert.deepEqual(whole, [
    [true, false],
    [true, true],
    [true, true],
    [true, true],
  ]);
  assert.deepEqual(part, [
    [true, false],
    [false, false],
    [true, false],
    [false, false],
  ]);
  const { slices } = readPerfetto(written(new PerfettoExport('vm'), moves));
  const stages = slices.filter(({ track, depth }) => track === 'vCPU 0' && depth === 1).map(({ name }) => name);
  assert.deepEqual(stages.slice(-3), ['wait', 'wait and work', 'wake']);
});

test('Parquet: another reader finds every move, over several row groups', async () => {
  const moves = await someMoves();
  const many = Array.from({ length: Math.ceil(ROW_GROUP_ROWS / moves.length) + 2 }, () => moves).flat();
  const bytes = written(new ParquetExport('vm'), many);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const rows = (await parquetReadObjects({ file })) as Record<string, unknown>[];
  assert.equal(rows.length, many.length);
  assert.deepEqual(
    rows.map(({ to_state: to }) => to),
    many.map(({ to }) => to),
  );
  const answered = rows.findLast(({ client, to_state: to }) => client === 'default' && to === 'COMPLETE');
  assert.equal(answered?.['value'], 0xffff_ffffn);
  assert.equal(answered['address'], 0xf_ffff_fff0n);
  assert.equal(rows[0]?.['client'] ?? null, null);
});

test('Parquet and JSON Lines of no moves are valid files', async () => {
  const bytes = written(new ParquetExport('vm'), []);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  assert.deepEqual(await parquetReadObjects({ file }), []);
  assert.equal(written(new JsonLinesExport('vm'), []).length, 0);
});

interface Slice {
  readonly track: string;
  readonly name: string;
  readonly depth: number;
  readonly fromNs: number;
  toNs: number;
  readonly flows: readonly string[];
  readonly ends: readonly string[];
}

interface Packet {
  readonly timestamp?: string;
  readonly trackDescriptor?: { uuid: string; name?: string; parentUuid?: string; process?: { processName: string } };
  readonly trackEvent?: {
    type: string;
    trackUuid: string;
    name?: string;
    flowIds?: string[];
    terminatingFlowIds?: string[];
  };
}

function readPerfetto(bytes: Uint8Array): { tracks: Map<string, string>; slices: Slice[]; instants: string[] } {
  const trace = protobuf.parse(PERFETTO_SCHEMA).root.lookupType('Trace');
  const { packet } = trace.toObject(trace.decode(bytes), { longs: String, enums: String }) as { packet: Packet[] };
  const tracks = new Map<string, string>();
  const slices: Slice[] = [];
  const instants: string[] = [];
  const open = new Map<string, Slice[]>();
  for (const { timestamp, trackDescriptor, trackEvent } of packet) {
    if (trackDescriptor !== undefined)
      tracks.set(trackDescriptor.uuid, trackDescriptor.name ?? trackDescriptor.process?.processName ?? '');
    if (trackEvent === undefined) continue;
    const track = tracks.get(trackEvent.trackUuid);
    assert.ok(track !== undefined, 'a track is described before its first event');
    const stack = open.get(trackEvent.trackUuid) ?? [];
    open.set(trackEvent.trackUuid, stack);
    if (trackEvent.type === 'TYPE_SLICE_BEGIN') {
      const slice: Slice = {
        track,
        name: trackEvent.name ?? '',
        depth: stack.length,
        fromNs: Number(timestamp),
        toNs: NaN,
        flows: trackEvent.flowIds ?? [],
        ends: trackEvent.terminatingFlowIds ?? [],
      };
      stack.push(slice);
      slices.push(slice);
    } else if (trackEvent.type === 'TYPE_SLICE_END') {
      const slice = stack.pop();
      assert.ok(slice !== undefined, 'a slice ends that has begun');
      slice.toNs = Number(timestamp);
      assert.ok(slice.toNs >= slice.fromNs);
    } else instants.push(trackEvent.name ?? '');
  }
  for (const stack of open.values()) assert.equal(stack.length, 0, 'every slice has an end');
  return { tracks, slices, instants };
}

test('Perfetto: a process, tracks for vCPUs and clients, nested slices for stages, arrows there and back', async () => {
  const { tracks, slices } = readPerfetto(written(new PerfettoExport('my vm'), await someMoves()));
  assert.deepEqual([...tracks.values()].sort(), ['default', 'my vm', 'uart16550', 'vCPU 0', 'vCPU 1']);
  const shape = (track: string): unknown[] =>
    slices.filter((slice) => slice.track === track).map(({ name, depth }) => `${depth} ${name}`);
  assert.deepEqual(shape('vCPU 0'), [
    '0 write port 0x3f8/1',
    '1 wait',
    '1 work',
    '1 wake',
    '0 read port 0xcf8/4',
    '1 wait',
    '1 wake',
  ]);
  assert.deepEqual(shape('uart16550'), ['0 write port 0x3f8/1']);
  assert.deepEqual(shape('default'), ['0 read mmio 0xffffffff0/8']);
  for (const track of ['uart16550', 'default']) {
    const client = slices.find((slice) => slice.track === track);
    const there = slices.filter(({ flows }) => flows.some((flow) => client?.ends.includes(flow)));
    const back = slices.filter(({ ends }) => ends.some((flow) => client?.flows.includes(flow)));
    assert.deepEqual(
      [...there, ...back].map(({ name }) => name),
      ['wait', 'wake'],
    );
    assert.equal(there[0]?.track, back[0]?.track);
  }
});

test('Perfetto: slices end also where moves were lost, refused or never came', async () => {
  const moves = await someMoves();
  const [pending, processing, complete] = moves as [Move, Move, Move];
  const later = { ...complete, timeNs: complete.timeNs + 100, requestNumber: 99, lost: 12 };
  const refused = { ...processing, isRefused: true };
  const { slices, instants } = readPerfetto(
    written(new PerfettoExport('vm'), [pending, processing, later, pending, refused, processing]),
  );
  assert.equal(slices.filter(({ name }) => name === 'wait').length, 2);
  assert.deepEqual(instants, ['refused: PENDING → PROCESSING']);
});
