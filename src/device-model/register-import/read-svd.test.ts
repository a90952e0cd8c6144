/** CMSIS-SVD to register maps: inheritance, repetition, accesses, values, and hostile files. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { RegisterDescription } from '../register-map.js';
import { importRegisters, type ImportedRegisters } from './import-registers.js';

const head = '<?xml version="1.0"?>\n<device><name>ACME</name><size>32</size><resetValue>0x10</resetValue>\n';

/** A file with one peripheral of these registers. */
function svd(registers: string, peripheral = ''): string {
  return `${head}<peripherals><peripheral><name>P</name>${peripheral}<registers>${registers}</registers></peripheral></peripherals></device>`;
}

function register(name: string, offset: string, inner = '', attributes = ''): string {
  return `<register${attributes}><name>${name}</name><addressOffset>${offset}</addressOffset>${inner}</register>`;
}

async function registersOf(text: string, block?: string): Promise<readonly RegisterDescription[]> {
  const options = block === undefined ? {} : { block };
  return (await importRegisters(text, { file: 'acme.svd', ...options })).map.registers;
}

async function placesOf(text: string, block?: string): Promise<string> {
  return (await registersOf(text, block)).map(({ name, offset, size }) => `${name}@${offset}/${size}`).join(' ');
}

async function problemOf(text: string, block?: string): Promise<string> {
  const result = await importRegisters(text, { file: 'acme.svd', ...(block === undefined ? {} : { block }) }).then(
    (imported: ImportedRegisters) => `read: ${imported.name}`,
    (error: unknown) => error,
  );
  assert.ok(result instanceof UpcallError, String(result));
  assert.equal(result.code, 'REGISTERS_INVALID');
  assert.ok(result.remedy !== undefined);
  return result.describe();
}

test('a register has what its file says, and the file is the source', async () => {
  const field = '<field><name>EN</name><description>on\n  or off</description><bitRange>[1:0]</bitRange></field>';
  const text = svd(register('CTRL', '0x4', `<description>control</description><fields>${field}</fields>`));
  const { name, map, length, notes } = await importRegisters(text, { file: 'acme.svd' });
  assert.deepEqual([name, length, notes, map.source], ['P', 8, [], 'acme.svd, P of ACME']);
  assert.deepEqual(map.registers, [
    {
      offset: 4,
      size: 4,
      name: 'CTRL',
      access: 'rw',
      meaning: 'control',
      reset: 0x10,
      fields: [{ bits: [0, 1], name: 'EN', meaning: 'on or off', access: 'rw' }],
    },
  ]);
});

test('sizes of 1 to 64 bits become registers of 1, 2 and 4 bytes', async () => {
  const sizes = [1, 8, 9, 16, 24, 32].map((bits, index) =>
    register(`R${bits}`, `${8 * index}`, `<size>${bits}</size>`),
  );
  assert.equal(await placesOf(svd(sizes.join(''))), 'R1@0/1 R8@8/1 R9@16/2 R16@24/2 R24@32/4 R32@40/4');
});

test('a register of 64 bits has two halves, and a field in both lies in both', async () => {
  const values =
    '<enumeratedValues><enumeratedValue><name>ON</name><value>1</value></enumeratedValue></enumeratedValues>';
  const fields = `<field><name>F</name><lsb>28</lsb><msb>35</msb>${values}</field>`;
  const inner = `<size>64</size><resetValue>0x500000003</resetValue><fields>${fields}</fields>`;
  const [low, high] = await registersOf(svd(register('WIDE', '0', inner)));
  assert.deepEqual([low?.name, low?.reset, low?.fields?.[0]?.bits], ['WIDE_LOW', 3, [28, 31]]);
  assert.deepEqual([high?.name, high?.offset, high?.reset, high?.fields?.[0]?.bits], ['WIDE_HIGH', 4, 5, [0, 3]]);
  // Its values are those of the whole field.
  assert.deepEqual([low?.fields?.[0]?.values, high?.fields?.[0]?.values], [undefined, undefined]);
});

test('only the bits of the reset mask have a reset value, and without any the register has none', async () => {
  const masked = register('A', '0', '<resetValue>0xff</resetValue><resetMask>0x0f</resetMask>');
  const [a, b] = await registersOf(svd(masked + register('B', '4', '<resetMask>0</resetMask>')));
  assert.deepEqual([a?.reset, a?.resetMask], [0x0f, 0x0f]);
  assert.deepEqual([b?.reset, b?.resetMask], [undefined, undefined]);
});

test('numbers are decimal, hexadecimal, binary, and scaled', async () => {
  const text = svd(register('A', '0X1C') + register('B', '#100') + register('C', '+8') + register('D', '1k'));
  assert.equal(await placesOf(text), 'B@4/4 C@8/4 A@28/4 D@1024/4');
});

const accesses: readonly (readonly [inner: string, access: string | undefined, words: RegExp])[] = [
  ['<access>read-only</access>', 'r', /^F$/],
  ['<access>write-only</access>', 'w', /^F$/],
  ['<access>writeOnce</access>', 'w', /^F$/],
  ['<access>read-writeonce</access>', undefined, /^F \(the first write counts\)$/],
  ['<access>read-write</access>', 'rw', /^F$/],
  ['<modifiedWriteValues>oneToClear</modifiedWriteValues>', 'w1c', /^F$/],
  ['<modifiedWriteValues>oneToSet</modifiedWriteValues>', undefined, /^F \(a write of 1 sets\)$/],
  ['<modifiedWriteValues>zeroToToggle</modifiedWriteValues>', undefined, /^F \(a write of 0 toggles\)$/],
  ['<access>read-only</access><readAction>clear</readAction>', 'rc', /^F$/],
  ['<readAction>clear</readAction>', undefined, /^F \(a read clears\)$/],
  ['<writeConstraint><range><minimum>0</minimum><maximum>1</maximum></range></writeConstraint>', undefined, /^F$/],
  ['<writeConstraint><writeAsRead>true</writeAsRead></writeConstraint>', 'rw', /^F$/],
];
for (const [inner, access, words] of accesses)
  test(`a field with ${inner} has access ${access ?? 'unknown'}, also if its register says so`, async () => {
    const bits = '<bitOffset>3</bitOffset>';
    const own = register('A', '0', `<fields><field><name>F</name>${bits}${inner}</field></fields>`);
    const outer = register('B', '4', `${inner}<fields><field><name>F</name>${bits}</field></fields>`);
    for (const one of await registersOf(svd(own + outer))) {
      const [field] = one.fields ?? [];
      assert.deepEqual([field?.bits, field?.access], [[3, 3], access], one.name);
      assert.match(field?.meaning ?? '', words);
    }
  });

test('a register takes its access from the file, else from its fields', async () => {
  const fields = (access: string): string =>
    `<fields><field><name>F</name><bitOffset>0</bitOffset><access>${access}</access></field></fields>`;
  const text = svd(
    register('R', '0', fields('read-only')) +
      register('W', '4', fields('write-only')) +
      register('RW', '8', `<access>read-write</access>${fields('read-only')}`) +
      register('BARE', '12', '<access>write-only</access>'),
  );
  assert.deepEqual(
    (await registersOf(text)).map(({ name, access }) => `${name} ${access}`),
    ['R r', 'W w', 'RW rw', 'BARE w'],
  );
});

test('a register without fields has one if its access says more, and is volatile if a read modifies it', async () => {
  const [a, b] = await registersOf(
    svd(
      register('FLAGS', '0', '<modifiedWriteValues>oneToClear</modifiedWriteValues>') +
        register('FIFO', '4', '<access>read-only</access><readAction>modify</readAction>'),
    ),
  );
  assert.deepEqual(a?.fields, [{ bits: [0, 31], name: 'VALUE', meaning: 'all bits', access: 'w1c' }]);
  assert.deepEqual([b?.isVolatile, b?.fields, b?.meaning], [true, undefined, 'FIFO (a read modifies)']);
});

test('enumerated values: those for reads, with don’t-care bits, and of another field by name', async () => {
  const one = (value: string, name: string): string =>
    `<enumeratedValue><name>${name}</name><value>${value}</value></enumeratedValue>`;
  const writes = `<enumeratedValues><usage>write</usage>${one('0', 'W')}</enumeratedValues>`;
  const reads = `<enumeratedValues><name>MODES</name>${one('0', 'OFF')}${one('#1x', 'ON')}${one('9', 'TOO_LARGE')}<enumeratedValue><name>REST</name><isDefault>true</isDefault></enumeratedValue></enumeratedValues>`;
  const first = `<field><name>A</name><bitRange>[1:0]</bitRange>${writes}${reads}</field>`;
  const second = '<field><name>B</name><bitRange>[3:2]</bitRange><enumeratedValues derivedFrom="MODES"/></field>';
  const text = svd(register('R', '0', `<fields>${first}</fields>`) + register('S', '4', `<fields>${second}</fields>`));
  const expected = [
    { value: 0, name: 'OFF', meaning: 'OFF' },
    { value: 2, name: 'ON', meaning: 'ON' },
    { value: 3, name: 'ON', meaning: 'ON' },
  ];
  for (const { name, fields } of await registersOf(text)) assert.deepEqual(fields?.[0]?.values, expected, name);
});

test('arrays and lists of registers, fields and clusters', async () => {
  const dim = (count: number, increment: number, index = ''): string =>
    `<dim>${count}</dim><dimIncrement>${increment}</dimIncrement>${index === '' ? '' : `<dimIndex>${index}</dimIndex>`}`;
  const field = `<field>${dim(3, 2)}<name>F%s</name><bitOffset>1</bitOffset></field>`;
  const text = svd(
    register('DATA[%s]', '0', dim(2, 4, '7,8')) +
      register('GPIO%s', '0x10', dim(3, 4, 'A-C')) +
      register('X%s_CTRL', '0x20', `${dim(2, 8, 'IN,OUT')}<fields>${field}</fields>`) +
      `<cluster>${dim(2, 0x10, '3-4')}<name>CH%s</name><addressOffset>0x40</addressOffset>${register('A', '4')}<cluster><name>SUB</name><addressOffset>8</addressOffset>${register('B', '0')}</cluster></cluster>`,
  );
  assert.equal(
    await placesOf(text),
    'DATA0@0/4 DATA1@4/4 GPIOA@16/4 GPIOB@20/4 GPIOC@24/4 XIN_CTRL@32/4 XOUT_CTRL@40/4 ' +
      'CH3_A@68/4 CH3_SUB_B@72/4 CH4_A@84/4 CH4_SUB_B@88/4',
  );
  const fields = (await registersOf(text)).find(({ name }) => name === 'XIN_CTRL')?.fields;
  assert.deepEqual(
    fields?.map(({ name, bits }) => [name, ...bits]),
    [
      ['F0', 1, 1],
      ['F1', 3, 3],
      ['F2', 5, 5],
    ],
  );
});

test('derivedFrom: registers, clusters and fields, in and beyond their surroundings', async () => {
  const fields = '<fields><field><name>F</name><bitRange>[3:0]</bitRange></field></fields>';
  const text = `${head}<peripherals>
    <peripheral><name>Q</name><registers>
      ${register('BASE%s', '0', `<dim>2</dim><dimIncrement>4</dimIncrement><size>16</size>${fields}`)}
      <cluster><name>C</name><addressOffset>0x20</addressOffset>${register('IN', '4', '<size>8</size>')}</cluster>
    </registers></peripheral>
    <peripheral><name>P</name><registers>
      ${register('ONE', '0x10', '<fields><field derivedFrom="Q.BASE%s.F"><name>G</name><bitRange>[7:4]</bitRange></field></fields>', ' derivedFrom="Q.BASE%s"')}
      ${register('TWO', '0x14', '<size>32</size>', ' derivedFrom="ONE"')}
      <cluster derivedFrom="Q.C"><name>D</name><addressOffset>0x40</addressOffset></cluster>
      ${register('THREE', '0x18', '', ' derivedFrom="Q.C.IN"')}
    </registers></peripheral></peripherals></device>`;
  assert.equal(await placesOf(text, 'P'), 'ONE@16/2 TWO@20/4 THREE@24/1 D_IN@68/1');
  const [one] = await registersOf(text, 'P');
  assert.deepEqual(
    one?.fields?.map(({ name, bits }) => [name, ...bits]),
    [
      ['F', 0, 3],
      ['G', 4, 7],
    ],
  );
});

test('a base is of the same kind: a cluster of that name is passed over', async () => {
  const cluster = `<cluster><name>X</name><addressOffset>0x20</addressOffset>${register('IN', '0')}</cluster>`;
  const text = svd(cluster + register('X', '0', '<size>8</size>') + register('Y', '4', '', ' derivedFrom="X"'));
  assert.equal(await placesOf(text), 'X@0/1 Y@4/1 X_IN@32/4');
});

test('a derived peripheral has all registers, but for those that it has itself', async () => {
  const text = `${head}<peripherals>
    <peripheral><name>P</name><size>8</size><registers>${register('A', '0')}${register('B', '4')}</registers></peripheral>
    <peripheral derivedFrom="P"><name>SAME</name></peripheral>
    <peripheral derivedFrom="SAME"><name>MORE</name><registers>${register('B', '8')}${register('C', '12')}</registers></peripheral>
  </peripherals></device>`;
  assert.equal(await placesOf(text, 'SAME'), 'A@0/1 B@4/1');
  assert.equal(await placesOf(text, 'MORE'), 'A@0/1 B@8/1 C@12/1');
});

test('of two registers with one name the second has a number', async () => {
  assert.equal(await placesOf(svd(register('A', '0') + register('A', '4'))), 'A@0/4 A_2@4/4');
});

test('a file whose addresses count words is read as bytes, and a note says so', async () => {
  const { notes } = await importRegisters(
    svd(register('A', '0')).replace('<size>', '<addressUnitBits>32</addressUnitBits><size>'),
  );
  assert.deepEqual(notes, ['addressUnitBits is 32, and offsets are taken as bytes']);
});

const two = '<peripheral><name>ONE</name></peripheral><peripheral><name>TWO</name></peripheral>';
const faults: readonly (readonly [name: string, text: string, expected: RegExp])[] = [
  [
    'another peripheral',
    `${head}<peripherals>${two}</peripherals></device>`,
    /^acme\.svd: it has no X\. Name one behind the file, with a comma: ONE, TWO$/,
  ],
  ['XML that ends early', `${head}<peripherals>`, /^acme\.svd:3: Unclosed root tag\. Correct the file/],
  ['another kind of XML', '<svg/>', /^acme\.svd:1: the file begins with <svg>, and one of CMSIS-SVD with <device>/],
  [
    'an offset that is no number',
    svd(register('A', 'four')),
    /^acme\.svd:3: P\.A: <addressOffset> is "four", not a number/,
  ],
  [
    'an offset above 32 bits',
    svd(register('A', '0x100000000')),
    /^acme\.svd:3: P\.A: <addressOffset> is 4294967296, above/,
  ],
  [
    'a register without offset',
    svd('<register><name>A</name></register>'),
    /^acme\.svd:3: P\.A: <addressOffset> is missing/,
  ],
  [
    'a register without name',
    svd('<register><addressOffset>0</addressOffset></register>'),
    /^acme\.svd:3: P\.<register>: <name> is missing/,
  ],
  [
    'an access that SVD does not have',
    svd(register('A', '0', '<access>rw</access>')),
    /P\.A: <access> is "rw", not one of read-only/,
  ],
  [
    'a register of 65 bits',
    svd(register('A', '0', '<size>65</size>')),
    /P\.A: it has 65 bits, and a register has 1 to 64/,
  ],
  [
    'a field outside of its register',
    svd(register('A', '0', '<fields><field><name>F</name><bitOffset>32</bitOffset></field></fields>')),
    /P\.A: field F has bit 32, and the register 32 bits/,
  ],
  [
    'a field whose bits are exchanged',
    svd(register('A', '0', '<fields><field><name>F</name><bitRange>[0:1]</bitRange></field></fields>')),
    /P\.A\.F: its bits \[0:1\] are not bits 0 to 63/,
  ],
  [
    'an unknown base',
    svd(register('A', '0', '', ' derivedFrom="B"')),
    /P\.A: derivedFrom="B" names no register of this file/,
  ],
  [
    'a circle of bases',
    svd(register('A', '0', '', ' derivedFrom="B"') + register('B', '0', '', ' derivedFrom="A"')),
    /P\.[AB]: derivedFrom="[AB]" leads back to itself/,
  ],
  [
    'a base that is the element itself',
    svd(register('A', '0', '', ' derivedFrom="A"')),
    /P\.A: derivedFrom="A" names no register/,
  ],
  [
    'too few indices',
    svd(register('A%s', '0', '<dim>3</dim><dimIncrement>4</dimIncrement><dimIndex>A,B</dimIndex>')),
    /P\.A%s: <dimIndex> A,B does not name 3 elements/,
  ],
  [
    'a range of indices that is too long',
    svd(register('A%s', '0', '<dim>3</dim><dimIncrement>4</dimIncrement><dimIndex>0-3</dimIndex>')),
    /<dimIndex> 0-3 does not name 3 elements/,
  ],
  [
    'copies without %s',
    svd(register('A', '0', '<dim>3</dim><dimIncrement>4</dimIncrement>')),
    /P\.A: <dim> is 3, and the name has no %s/,
  ],
  ['a peripheral without registers', svd(''), /^acme\.svd: P has no registers\. Choose another one/],
];
for (const [name, text, expected] of faults)
  test(`${name} is REGISTERS_INVALID, with the element and what to do`, async () => {
    assert.match(await problemOf(text, name.startsWith('another p') ? 'X' : undefined), expected);
  });

test('without a peripheral a file with several is refused, and names them', async () => {
  assert.match(
    await problemOf(`${head}<peripherals>${two}</peripherals></device>`),
    /it has 2 peripherals\. Name one .*: ONE, TWO$/,
  );
});

// What a file from a stranger may try: each ends at a limit, and soon.
const nested = (depth: number): string =>
  depth === 0
    ? ''
    : `<cluster><dim>8192</dim><dimIncrement>1</dimIncrement><name>C%s</name><addressOffset>0</addressOffset>${nested(depth - 1)}</cluster>`;
const hostile: readonly (readonly [name: string, text: string, expected: RegExp])[] = [
  [
    'entities that name files',
    `<!DOCTYPE device [<!ENTITY x SYSTEM "file:///etc/passwd">]><device><name>&x;</name></device>`,
    /Invalid character entity/,
  ],
  [
    'entities in entities',
    `<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><device><name>&b;</name></device>`,
    /Invalid character entity/,
  ],
  ['an entity of HTML', '<device><name>&copy;</name></device>', /Invalid character entity/],
  ['elements a thousand deep', '<a>'.repeat(1000), /elements nest deeper than 64/],
  ['repeated clusters in repeated clusters', svd(nested(20)), /the peripheral has more than 200000 entries/],
  [
    'a billion copies',
    svd(register('A%s', '0', '<dim>1000000000</dim><dimIncrement>4</dimIncrement>')),
    /<dim> is 1000000000, above 8192/,
  ],
  [
    'a billion copies of a field',
    svd(
      register(
        'A',
        '0',
        '<fields><field><name>F%s</name><dim>1000000000</dim><dimIncrement>0</dimIncrement><bitOffset>0</bitOffset></field></fields>',
      ),
    ),
    /<dim> is 1000000000, above 64/,
  ],
  [
    'a long chain of bases',
    svd(
      Array.from({ length: 1000 }, (_, index) => register(`A${index}`, '0', '', ` derivedFrom="A${index + 1}"`)).join(
        '',
      ),
    ),
    /is one of more than 64 in a row/,
  ],
];
for (const [name, text, expected] of hostile)
  test(`${name}: refused at a limit`, { timeout: 20_000 }, async () => {
    assert.match(await problemOf(text), expected);
  });

test('names from a file are letters, digits and _', async () => {
  assert.equal(await placesOf(svd(register('A"; B', '0'))), 'A___B@0/4');
});
