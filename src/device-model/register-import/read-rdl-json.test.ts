/** SystemRDL compiled to JSON: what systemrdl-compiler's exporter writes, and its descendants. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { importRegisters, type ImportedRegisters } from './import-registers.js';

type Json = Record<string, unknown>;

const field = (inst_name: string, lsb: number, msb: number, more: Json = {}): Json => ({
  type: 'field',
  inst_name,
  lsb,
  msb,
  reset: null,
  sw_access: 'rw',
  ...more,
});
const reg = (inst_name: string, addr_offset: number, children: readonly Json[], more: Json = {}): Json => ({
  type: 'reg',
  inst_name,
  addr_offset,
  children,
  ...more,
});
const map = (children: readonly Json[], more: Json = {}): Json => ({
  type: 'addrmap',
  inst_name: 'top',
  addr_offset: 0,
  children,
  ...more,
});

function read(json: Json, block?: string): Promise<ImportedRegisters> {
  return importRegisters(JSON.stringify(json), { file: 'top.json', ...(block === undefined ? {} : { block }) });
}

test('the plain exporter: 32 bits unless the next register is nearer, resets of fields that have one', async () => {
  const {
    map: read32,
    name,
    length,
  } = await read(
    map([
      reg('r1', 0, [field('f1', 0, 7, { reset: 123 }), field('f2', 8, 15, { sw_access: 'r' })]),
      reg('r2', 4, [field('f', 0, 7)]),
      reg('r3', 5, [field('f', 0, 7)]),
      reg('wide', 8, [field('f', 0, 39)]),
    ]),
  );
  assert.deepEqual([name, length, read32.source], ['top', 16, 'top.json, addrmap top']);
  assert.deepEqual(
    read32.registers.map((one) => [one.name, one.offset, one.size]),
    [
      ['r1', 0, 4],
      ['r2', 4, 1],
      ['r3', 5, 2],
      ['wide_LOW', 8, 4],
      ['wide_HIGH', 12, 4],
    ],
  );
  assert.deepEqual(read32.registers[0], {
    offset: 0,
    size: 4,
    name: 'r1',
    access: 'rw',
    meaning: 'r1',
    reset: 123,
    resetMask: 0xff,
    fields: [
      { bits: [0, 7], name: 'f1', meaning: 'f1', access: 'rw' },
      { bits: [8, 15], name: 'f2', meaning: 'f2', access: 'r' },
    ],
  });
});

test('a register whose fields reach into the next one keeps its width', async () => {
  const { map: result } = await read(map([reg('a', 0, [field('f', 0, 15)]), reg('b', 1, [field('f', 0, 7)])]));
  assert.deepEqual(
    result.registers.map(({ name, size }) => [name, size]),
    [
      ['a', 4],
      ['b', 4],
    ],
  );
});

test('descendants of the exporter: widths, texts, side effects and encodings', async () => {
  const fields = [
    field('flag', 0, 0, { se_onwrite: 'woclr', desc: 'set by\n the timer' }),
    field('old', 1, 1, { woclr: 1 }),
    field('count', 2, 3, { sw_access: 'r', se_onread: 'rclr' }),
    field('set', 4, 4, { se_onwrite: 'woset' }),
    field('both', 5, 5, { se_onread: 'rclr' }),
    field('mode', 6, 7, {
      encode: [
        { name: 'OFF', value: 0 },
        { name: 'ON', value: 3 },
        { name: 'NOT', value: 4 },
      ],
    }),
  ];
  const { map: result } = await read(map([reg('r', 2, fields, { regwidth: 16, desc: 'state' })]));
  const [only] = result.registers;
  assert.ok(only);
  assert.deepEqual([only.size, only.meaning, only.reset, only.isVolatile], [2, 'state', undefined, true]);
  assert.deepEqual(
    only.fields?.map(({ name, access, meaning }) => [name, access, meaning]),
    [
      ['flag', 'w1c', 'set by the timer'],
      ['old', 'w1c', 'old'],
      ['count', 'rc', 'count'],
      ['set', undefined, 'set (a write of 1 sets)'],
      ['both', undefined, 'both (a read clears)'],
      ['mode', 'rw', 'mode'],
    ],
  );
  assert.deepEqual(only.fields.find(({ name }) => name === 'mode')?.values, [
    { value: 0, name: 'OFF', meaning: 'OFF' },
    { value: 3, name: 'ON', meaning: 'ON' },
  ]);
});

test('accesses of fields make the register’s', async () => {
  const access = async (...all: readonly string[]): Promise<string | undefined> =>
    (
      await read(
        map([
          reg(
            'r',
            0,
            all.map((sw_access, bit) => field(`f${bit}`, bit, bit, { sw_access })),
          ),
        ]),
      )
    ).map.registers[0]?.access;
  assert.deepEqual(
    [await access('r', 'r'), await access('w', 'w1', 'na'), await access('r', 'w'), await access('rw1')],
    ['r', 'w', 'rw', 'rw'],
  );
});

test('files of registers and address maps: offsets add up, and a map can be chosen', async () => {
  const file = { type: 'regfile', inst_name: 'ch', addr_offset: 16, children: [reg('a', 4, [field('f', 0, 0)])] };
  const inner = map([reg('b', 0, [field('f', 0, 0)])], { inst_name: 'sub', addr_offset: 64 });
  const memory = { type: 'mem', inst_name: 'ram', addr_offset: 128, mementries: 4, memwidth: 32 };
  const whole = map([file, inner, memory]);
  const { map: all, notes } = await read(whole);
  assert.deepEqual(
    all.registers.map(({ name, offset }) => `${name}@${offset}`),
    ['ch_a@20', 'sub_b@64'],
  );
  assert.deepEqual(notes, ['top.ram is a memory, which a register map does not have']);
  const { map: one } = await read(whole, 'sub');
  assert.deepEqual(
    one.registers.map(({ name, offset }) => `${name}@${offset}`),
    ['b@0'],
  );
});

const good = field('f', 0, 0);
const faults: readonly (readonly [name: string, text: string, expected: RegExp])[] = [
  [
    'text of another kind',
    'registers',
    /^top\.json: the file is neither XML nor a JSON object\. Give a CMSIS-SVD file/,
  ],
  ['broken JSON', '{', /^top\.json: the file is not JSON: /],
  [
    'JSON of another tool',
    '{"registers": []}',
    /its outermost "type" is not "addrmap"\. Export it with examples\/export_json\.py/,
  ],
  [
    'no children',
    JSON.stringify(map([], { children: 3 })),
    /^top\.json: top: its "children" is not a list of components\. Correct/,
  ],
  [
    'a component of an unknown kind',
    JSON.stringify(map([reg('r', 0, [], { type: 'signal' })])),
    /top\.r: its "type" is "signal", not one of/,
  ],
  ['a component without name', JSON.stringify(map([{ type: 'reg' }])), /top: a component has no "inst_name"/],
  [
    'an offset that is no number',
    JSON.stringify(map([reg('r', 0, [good], { addr_offset: '0x0' })])),
    /top\.r: its "addr_offset" is "0x0", not a number/,
  ],
  ['a negative offset', JSON.stringify(map([reg('r', -4, [good])])), /its "addr_offset" is -4, not a number/],
  [
    'bits in the wrong order',
    JSON.stringify(map([reg('r', 0, [field('f', 3, 2)])])),
    /top\.r\.f: its "lsb" 3 is above its "msb" 2/,
  ],
  [
    'a field outside of its register',
    JSON.stringify(map([reg('r', 0, [field('f', 8, 8)], { regwidth: 8 })])),
    /top\.r: a field has bit 8, and the register 8 bits/,
  ],
  [
    'a reset that does not fit',
    JSON.stringify(map([reg('r', 0, [field('f', 0, 1, { reset: 4 })])])),
    /top\.r\.f: its "reset" 4 does not fit into 2 bits/,
  ],
  [
    'an access that SystemRDL does not have',
    JSON.stringify(map([reg('r', 0, [field('f', 0, 0, { sw_access: 'RW' })])])),
    /top\.r\.f: its "sw_access" is "RW", not one of rw, r, w/,
  ],
  [
    'a register within a register',
    JSON.stringify(map([reg('r', 0, [reg('s', 0, [])])])),
    /top\.r\.s: its "type" is not "field"/,
  ],
];
for (const [name, text, expected] of faults)
  test(`${name} is REGISTERS_INVALID, with the component and what to do`, async () => {
    const error: unknown = await importRegisters(text, { file: 'top.json' }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof UpcallError, String(error));
    assert.equal(error.code, 'REGISTERS_INVALID');
    assert.match(error.describe(), expected);
  });

test('components a thousand deep are refused', async () => {
  let json = map([]);
  for (let depth = 0; depth < 1000; depth++) json = map([json]);
  await assert.rejects(read(json), /components nest deeper than 64/);
});
