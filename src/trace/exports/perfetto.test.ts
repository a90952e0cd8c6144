import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import protobuf from 'protobufjs';
import type { Move } from '../move.js';
import { madeMove } from './fixtures/made-move.js';
import { PERFETTO_SCHEMA } from './fixtures/perfetto-schema.js';
import { PerfettoExport } from './perfetto.js';

interface Annotation {
  readonly name: string;
  readonly uintValue?: string;
  readonly stringValue?: string;
}

interface Packet {
  readonly timestamp?: string;
  readonly trustedPacketSequenceId: number;
  readonly sequenceFlags?: number;
  readonly trackDescriptor?: {
    readonly uuid: string;
    readonly name?: string;
    readonly parentUuid?: string;
    readonly process?: { readonly pid: number; readonly processName: string };
  };
  readonly trackEvent?: {
    readonly type: string;
    readonly trackUuid: string;
    readonly name?: string;
    readonly flowIds?: string[];
    readonly terminatingFlowIds?: string[];
    readonly debugAnnotations?: Annotation[];
  };
}

function decoded(bytes: Uint8Array): Packet[] {
  const trace = protobuf.parse(PERFETTO_SCHEMA).root.lookupType('Trace');
  const { packet = [] } = trace.toObject(trace.decode(bytes), { longs: String, enums: String }) as {
    packet?: Packet[];
  };
  return packet;
}

/** A packet in one line: its time, what happens on which track, flows and annotations. */
function lineOf({ timestamp, sequenceFlags, trackDescriptor, trackEvent }: Packet): string {
  if (trackDescriptor !== undefined) {
    const { uuid, name, parentUuid, process } = trackDescriptor;
    const flags = sequenceFlags === undefined ? '' : `, flags ${sequenceFlags}`;
    return process === undefined
      ? `track ${uuid} of ${parentUuid}: ${name}${flags}`
      : `track ${uuid}: process ${process.pid} ${process.processName}${flags}`;
  }
  assert.ok(trackEvent);
  const { type, trackUuid, name = '', flowIds = [], terminatingFlowIds = [], debugAnnotations = [] } = trackEvent;
  const flows = [...flowIds.map((id) => `starts ${id}`), ...terminatingFlowIds.map((id) => `ends ${id}`)];
  const notes = debugAnnotations.map((note) => `${note.name}=${note.uintValue ?? `'${note.stringValue}'`}`);
  const what = `${type.replace('TYPE_', '').replace('SLICE_', '').toLowerCase()} ${name}`.trim();
  return [`${timestamp} ${trackUuid} ${what}`, ...flows, ...notes].join(', ');
}

/** The lines of each piece that the export returns, the first without the track of the process. */
function linesOf(moves: readonly Move[]): string[] {
  const one = new PerfettoExport('vm');
  const pieces = [...moves.map((move) => one.add(move)), one.end()];
  return decoded(Buffer.concat(pieces)).slice(1).map(lineOf);
}

const processing = { from: 'PENDING', to: 'PROCESSING', by: 'hsm', client: 'disk' } as const;
const complete = { from: 'PROCESSING', to: 'COMPLETE', by: 'client', client: 'disk' } as const;
const free = { from: 'COMPLETE', to: 'FREE', client: 'disk' } as const;

describe('the Perfetto trace', () => {
  test('begins with the process, once', () => {
    const one = new PerfettoExport('my vm', 7);
    assert.deepEqual(decoded(one.end()).map(lineOf), [`track ${6 * 2 ** 20 + 1}: process 7 my vm, flags 1`]);
    assert.deepEqual(decoded(one.end()), []);
    assert.deepEqual(decoded(new PerfettoExport('x').end()).map(lineOf), ['track 1: process 1 x, flags 1']);
  });

  test('can follow that of another VM in a file: tracks, flows and sequences differ', () => {
    const moves = [{ timeNs: 10 }, { ...processing, timeNs: 20 }, { ...complete, timeNs: 30 }, { ...free, timeNs: 40 }];
    const idsOf = (pid: number): Set<string> => {
      const one = new PerfettoExport(`vm${pid}`, pid);
      const bytes = Buffer.concat([...moves.map((move) => one.add(madeMove(move))), one.end()]);
      const packets = decoded(bytes);
      assert.ok(packets.every(({ trustedPacketSequenceId }) => trustedPacketSequenceId === pid));
      const parents = packets.flatMap(({ trackDescriptor }) => trackDescriptor?.parentUuid ?? []);
      assert.deepEqual(new Set(parents), new Set([packets[0]?.trackDescriptor?.uuid]));
      return new Set(
        packets.flatMap(({ trackDescriptor, trackEvent }) =>
          trackEvent === undefined
            ? `track ${trackDescriptor?.uuid}`
            : [`track ${trackEvent.trackUuid}`, ...(trackEvent.flowIds ?? []).map((id) => `flow ${id}`)],
        ),
      );
    };
    const [first, second, last] = [idsOf(1), idsOf(2), idsOf(2 ** 22 - 1)];
    assert.equal(first.size, 5, 'the process, its vCPU, its client and two flows');
    assert.equal(new Set([...first, ...second, ...last]).size, 3 * first.size);
  });

  test('has for a read the slices of its stages and of its client, with arrows there and back, and the answer', () => {
    const moves = [{ timeNs: 10 }, { ...processing, timeNs: 20 }, { ...complete, timeNs: 30 }, { ...free, timeNs: 40 }];
    assert.deepEqual(linesOf(moves.map(madeMove)), [
      'track 16 of 1: vCPU 0',
      "10 16 begin read port 0x60/1, address='0x60', size=1",
      '10 16 begin wait, starts 1',
      '20 16 end',
      '20 16 begin work',
      'track 256 of 1: disk',
      "20 256 begin read port 0x60/1, starts 2, ends 1, vcpu=0, address='0x60', size=1",
      '30 16 end',
      '30 256 end',
      "30 16 begin wake, ends 2, answer='0x5a'",
      '40 16 end',
      '40 16 end',
    ]);
  });

  test('ends a request at FREE, and not later', () => {
    const moves = [{ timeNs: 10 }, { ...processing, timeNs: 20 }, { ...complete, timeNs: 30 }, { ...free, timeNs: 40 }];
    const lines = linesOf([...moves.map(madeMove), madeMove({ timeNs: 100, vcpu: 1 })]);
    assert.deepEqual(lines.slice(10, 13), ['40 16 end', '40 16 end', 'track 17 of 1: vCPU 1']);
  });

  test('has for a write what was written, and no answer', () => {
    const request = { type: 'mmio', direction: 'write', address: 0xfed0_0000, size: 4, value: 7 } as const;
    const moves = [{ timeNs: 10 }, { ...processing, timeNs: 20 }, { ...complete, timeNs: 30 }];
    assert.deepEqual(linesOf(moves.map((move) => madeMove({ ...move, request, vcpu: 15 }))), [
      'track 31 of 1: vCPU 15',
      "10 31 begin write mmio 0xfed00000/4, address='0xfed00000', size=4, written='0x7'",
      '10 31 begin wait, starts 1',
      '20 31 end',
      '20 31 begin work',
      'track 256 of 1: disk',
      "20 256 begin write mmio 0xfed00000/4, starts 2, ends 1, vcpu=15, address='0xfed00000', size=4, written='0x7'",
      '30 31 end',
      '30 256 end',
      '30 31 begin wake, ends 2',
      '30 31 end',
      '30 31 end',
    ]);
  });

  test('has no address for PCI, and knows nothing of a request that was lost', () => {
    const place = { bus: 0, device: 0x1f, function: 2, register: 0x40 };
    const request = { type: 'pci', direction: 'read', size: 4, value: 0, ...place } as const;
    assert.deepEqual(linesOf([madeMove({ request })]).slice(1, 2), [
      '0 16 begin read pci 00:1f.2 register 0x40/4, size=4',
    ]);
    const lost = [{}, { ...processing, client: undefined }, complete].map((move) =>
      madeMove({ ...move, request: undefined }),
    );
    assert.deepEqual(linesOf(lost).slice(1), [
      '0 16 begin request',
      '0 16 begin wait, starts 1',
      '0 16 end',
      '0 16 begin work',
      'track 256 of 1: client',
      '0 256 begin request, starts 2, ends 1, vcpu=0',
      '0 16 end',
      '0 256 end',
      '0 16 begin wake, ends 2',
      '0 16 end',
      '0 16 end',
    ]);
  });

  test('cannot separate wait and work if the move between them has no time', () => {
    const lines = linesOf([madeMove({}), madeMove({ ...processing, isTimed: false })]);
    assert.equal(lines[4], '0 16 begin wait and work');
  });

  test('has no client for a request that the HSM answers', () => {
    const lines = linesOf([madeMove({ timeNs: 1 }), madeMove({ ...complete, from: 'PENDING', by: 'hsm', timeNs: 2 })]);
    assert.deepEqual(lines.slice(3), ['2 16 end', "2 16 begin wake, answer='0x5a'", '2 16 end', '2 16 end']);
  });

  test('has a track for each client of each vCPU', () => {
    const moves = [0, 1, 0].flatMap((vcpu, i) =>
      [{}, { ...processing, client: i === 2 ? 'net' : 'disk' }, complete, free].map((move) =>
        madeMove({ ...move, vcpu, requestNumber: 4 * i }),
      ),
    );
    assert.deepEqual(
      linesOf([...moves, ...moves]).filter((line) => line.startsWith('track')),
      [
        'track 16 of 1: vCPU 0',
        'track 256 of 1: disk',
        'track 17 of 1: vCPU 1',
        'track 257 of 1: disk',
        'track 258 of 1: net',
      ],
    );
  });

  test('shows a refused move as an instant, which ends nothing', () => {
    const refused = madeMove({ ...processing, timeNs: 5, isRefused: true, requestNumber: 9, lost: 1 });
    assert.deepEqual(linesOf([madeMove({}), refused]).slice(3), [
      '5 16 instant refused: PENDING → PROCESSING',
      '5 16 end',
      '5 16 end',
    ]);
  });

  test('ends what is open at the next request, after a loss, and at the end at the latest time', () => {
    const open = [madeMove({}), madeMove({ ...processing, timeNs: 20 })];
    const closed = ['16 end', '16 end', '256 end'];
    const after = (move: Partial<Move>): string[] => linesOf([...open, madeMove({ timeNs: 30, ...move })]).slice(7);
    assert.deepEqual(
      after({}).slice(0, 3),
      closed.map((line) => `30 ${line}`),
    );
    assert.deepEqual(
      after({ ...complete, lost: 1 }),
      closed.map((line) => `30 ${line}`),
    );
    assert.deepEqual(
      after({ ...complete, requestNumber: 4 }),
      closed.map((line) => `30 ${line}`),
    );
    assert.deepEqual(
      after({ ...complete, vcpu: 1, timeNs: 5 }),
      ['track 17 of 1: vCPU 1', ...closed.map((line) => `20 ${line}`)],
      'of another vCPU, and earlier',
    );
  });

  test('has no time before its beginning', () => {
    assert.match(linesOf([madeMove({ timeNs: -5 })])[1] ?? '', /^0 16 begin/);
  });

  test('has a slice while a line is high, and instants for ends and messages, each on a track of its own', () => {
    const one = new PerfettoExport('vm');
    const line = { vector: undefined, message: undefined, by: undefined, lost: 0 };
    const message = { ...line, line: undefined, vector: 0x31 };
    const pieces = [
      one.addInterrupt({ ...line, timeNs: 10, interrupt: 'raised', line: 4, by: 'uart' }),
      one.addInterrupt({ ...line, timeNs: 20, interrupt: 'raised', line: 8 }),
      one.addInterrupt({ ...line, timeNs: 30, interrupt: 'ended', line: 4 }),
      one.addInterrupt({ ...line, timeNs: 40, interrupt: 'lowered', line: 4 }),
      one.addInterrupt({ ...message, timeNs: 50, interrupt: 'sent', message: 0, by: 'disk' }),
      one.addInterrupt({ ...message, timeNs: 60, interrupt: 'refused', by: 'disk' }),
      one.addInterrupt({ ...message, timeNs: 70, interrupt: 'sent', vector: undefined }),
      one.end(),
      one.end(),
    ];
    const [line4, line8, ofDisk, ofOthers] = [0x8_0000, 0x8_0001, 0x8_0002, 0x8_0003];
    // The first piece begins with the process.
    assert.deepEqual(decoded(Buffer.concat(pieces)).map(lineOf), [
      'track 1: process 1 vm, flags 1',
      `track ${line4} of 1: line 4`,
      `10 ${line4} begin uart`,
      `track ${line8} of 1: line 8`,
      `20 ${line8} begin high`,
      `30 ${line4} instant EOI`,
      `40 ${line4} end`,
      `track ${ofDisk} of 1: messages of disk`,
      `50 ${ofDisk} instant vector 0x31, message=0`,
      `60 ${ofDisk} instant refused vector 0x31`,
      `track ${ofOthers} of 1: messages of others`,
      `70 ${ofOthers} instant vector 0x0`,
      `70 ${line8} end`,
    ]);
  });
});
