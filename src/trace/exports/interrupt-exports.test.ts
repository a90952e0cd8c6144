import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import type { InterruptEvent } from '../interrupt-reader.js';
import { PERFETTO_SCHEMA } from './fixtures/perfetto-schema.js';
import { JsonLinesExport } from './json-lines.js';
import { PerfettoExport } from './perfetto.js';

const line = (timeNs: number, interrupt: InterruptEvent['interrupt'], by?: string): InterruptEvent => ({
  timeNs,
  interrupt,
  line: 4,
  vector: undefined,
  message: undefined,
  by,
  lost: 0,
});
const EVENTS: readonly InterruptEvent[] = [
  line(10, 'raised', 'uart'),
  // It was lowered, and that event is lost.
  line(20, 'raised', 'uart'),
  line(30, 'ended'),
  line(40, 'lowered', 'uart'),
  line(45, 'lowered', 'uart'),
  { ...line(50, 'sent', 'disk'), line: undefined, vector: 0x29, message: 1 },
  line(60, 'raised', 'uart'),
];

interface Packet {
  readonly timestamp?: string;
  readonly trackDescriptor?: { readonly uuid: string; readonly name?: string };
  readonly trackEvent?: { readonly type: string; readonly trackUuid: string; readonly name?: string };
}

test('Perfetto: a slice while a line is high, which ends with the file, and instants for ends and messages', () => {
  const perfetto = new PerfettoExport('vm');
  const bytes = Buffer.concat([...EVENTS.map((event) => perfetto.addInterrupt(event)), perfetto.end()]);
  const trace = protobuf.parse(PERFETTO_SCHEMA).root.lookupType('Trace');
  const { packet } = trace.toObject(trace.decode(bytes), { longs: String, enums: String }) as { packet: Packet[] };
  const names = new Map(packet.map(({ trackDescriptor: track }) => [track?.uuid, track?.name]));
  const events = packet.flatMap(({ timestamp, trackEvent: event }) =>
    event === undefined
      ? []
      : [`${timestamp} ${names.get(event.trackUuid)}: ${event.type.replace(/^TYPE_/, '')} ${event.name ?? ''}`.trim()],
  );
  assert.deepEqual(events, [
    '10 line 4: SLICE_BEGIN uart',
    '30 line 4: INSTANT EOI',
    '40 line 4: SLICE_END',
    '50 messages of disk: INSTANT vector 0x29',
    '60 line 4: SLICE_BEGIN uart',
    '60 line 4: SLICE_END',
  ]);
});

test('JSON Lines: an object with the field `interrupt`', () => {
  const rows = EVENTS.map(
    (event) => JSON.parse(Buffer.from(new JsonLinesExport('vm').addInterrupt(event)).toString()) as object,
  );
  assert.deepEqual(rows[0], { vm: 'vm', timeNs: 10, interrupt: 'raised', line: 4, by: 'uart', lost: 0 });
  assert.deepEqual(rows[5], {
    vm: 'vm',
    timeNs: 50,
    interrupt: 'sent',
    vector: 0x29,
    message: 1,
    by: 'disk',
    lost: 0,
  });
});
