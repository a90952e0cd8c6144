import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from './kvm-abi.js';
import { generalRegisters, Segment, setSystemRegisters } from './start-state.js';

/** Base, limit, selector, then type, present, dpl, db, s, l, g, avl, unusable. */
function segmentAt(sregs: Uint8Array<ArrayBuffer>, offset: number): unknown[] {
  const view = new DataView(sregs.buffer);
  const fields = [...sregs.subarray(offset + 14, offset + 23)];
  return [view.getBigUint64(offset, true), view.getUint32(offset + 8, true), view.getUint16(offset + 12, true), fields];
}

test('general registers are those of the start, with interrupts off by default', () => {
  const bytes = generalRegisters({
    mode: 'real',
    ip: 0x7c00,
    eax: 1,
    esp: 0xffff_fffc,
    cs: { selector: 0 },
    ds: { selector: 0 },
  });
  const words = new BigUint64Array(bytes.buffer);
  assert.deepEqual([...words], [1n, 0n, 0n, 0n, 0n, 0n, 0xffff_fffcn, ...Array<bigint>(9).fill(0n), 0x7c00n, 2n]);
});

test('real-mode segments begin at 16 times the selector and have 64 KiB', () => {
  const sregs = new Uint8Array(Bytes.SREGS);
  setSystemRegisters(sregs, { mode: 'real', ip: 0, cs: { selector: 0xf000 }, ds: { selector: 0x10 } });
  assert.deepEqual(segmentAt(sregs, Segment.cs), [0xf_0000n, 0xffff, 0xf000, [11, 1, 0, 0, 1, 0, 0, 0, 0]]);
  assert.deepEqual(segmentAt(sregs, Segment.ss), [0x100n, 0xffff, 0x10, [3, 1, 0, 0, 1, 0, 0, 0, 0]]);
  assert.equal(new DataView(sregs.buffer).getBigUint64(224, true), 0n, 'CR0 stays that of power-on');
});

test('flat segments have 4 GiB in pages, and protection is on', () => {
  const sregs = new Uint8Array(Bytes.SREGS);
  const gdt = { base: 0x1234_5678, limit: 31 };
  setSystemRegisters(sregs, { mode: 'flat-32', ip: 0, cs: { selector: 8 }, ds: { selector: 16 }, gdt, cr3: 0x5000 });
  assert.deepEqual(segmentAt(sregs, Segment.cs), [0n, 0xffff_ffff, 8, [11, 1, 0, 1, 1, 0, 1, 0, 0]]);
  assert.deepEqual(segmentAt(sregs, Segment.gs), [0n, 0xffff_ffff, 16, [3, 1, 0, 1, 1, 0, 1, 0, 0]]);
  const view = new DataView(sregs.buffer);
  assert.deepEqual([view.getBigUint64(192, true), view.getUint16(200, true)], [0x1234_5678n, 31]);
  assert.deepEqual([view.getBigUint64(224, true), view.getBigUint64(240, true)], [0x11n, 0x5000n]);
});

test('access rights and limits that are given are taken, and a TSS is busy', () => {
  const sregs = new Uint8Array(Bytes.SREGS);
  const es = { selector: 0, attributes: 0x1_0000, limit: 0xf_ffff };
  setSystemRegisters(sregs, {
    mode: 'flat-32',
    ip: 0,
    cs: { selector: 8 },
    ds: { selector: 16 },
    es,
    tr: { selector: 24, limit: 103 },
  });
  assert.deepEqual(segmentAt(sregs, Segment.es), [0n, 0xf_ffff, 0, [0, 0, 0, 0, 0, 0, 0, 0, 1]]);
  assert.deepEqual(segmentAt(sregs, Segment.tr), [0n, 103, 24, [11, 1, 0, 0, 0, 0, 0, 0, 0]]);
});

test('64-bit mode has 64-bit code, its own page tables and the bits that turn it on', () => {
  const sregs = new Uint8Array(Bytes.SREGS);
  setSystemRegisters(sregs, { mode: 'long-64', ip: 0, cs: { selector: 16 }, ds: { selector: 24 }, cr3: 0x5000 });
  assert.deepEqual(segmentAt(sregs, Segment.cs), [0n, 0xffff_ffff, 16, [11, 1, 0, 0, 1, 1, 1, 0, 0]]);
  assert.deepEqual(segmentAt(sregs, Segment.ss), [0n, 0xffff_ffff, 24, [3, 1, 0, 1, 1, 0, 1, 0, 0]]);
  const view = new DataView(sregs.buffer);
  const [cr0, cr3, cr4, efer] = [224, 240, 248, 264].map((offset) => view.getBigUint64(offset, true));
  assert.deepEqual([cr0, cr3, cr4, efer], [0x8000_0011n, 0x5000n, 0x20n, 0x500n]);
});
