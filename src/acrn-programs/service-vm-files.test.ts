import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadLibc } from '../host/node/linux/libc.js';
import { ServiceVmFiles } from './service-vm-files.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;

function contentOf(files: ServiceVmFiles, path: string): Buffer | undefined {
  let content: Buffer | undefined;
  const isOpen = files.open(path, (fd) => {
    content = readFileSync(`/proc/self/fd/${fd}`);
  });
  assert.equal(isOpen, content !== undefined);
  return content;
}

describe('the machine that acrn-dm finds', { skip }, () => {
  test('has a table of processors whose bytes add up to 0, with a local APIC for each of 16 CPUs', () => {
    const madt = contentOf(new ServiceVmFiles(), '/sys/firmware/acpi/tables/APIC');
    assert.ok(madt !== undefined);
    assert.equal(madt.toString('latin1', 0, 4), 'APIC');
    assert.equal(madt.readUInt32LE(4), madt.length);
    assert.equal(madt.reduce((sum, byte) => sum + byte, 0) & 0xff, 0);
    const ids: number[] = [];
    for (let at = 44; at < madt.length; at += madt.readUInt8(at + 1)) {
      assert.deepEqual([madt.readUInt8(at), madt.readUInt32LE(at + 4)], [0, 1], 'a local APIC that is enabled');
      ids.push(madt.readUInt8(at + 3));
    }
    assert.deepEqual(
      ids,
      Array.from({ length: 16 }, (_, cpu) => cpu),
    );
  });

  test('has free huge pages of 2 MiB, and none of 1 GiB', () => {
    const files = new ServiceVmFiles();
    const pages = (size: string, what: string): number =>
      Number(contentOf(files, `/sys/kernel/mm/hugepages/hugepages-${size}/${what}`));
    assert.ok(pages('2048kB', 'free_hugepages') >= 4096);
    assert.equal(pages('2048kB', 'nr_hugepages'), pages('2048kB', 'free_hugepages'));
    assert.equal(pages('1048576kB', 'free_hugepages'), 0);
  });

  test('has one lock file for all programs', () => {
    const files = new ServiceVmFiles();
    const seen: number[] = [];
    for (let n = 0; n < 2; n++) assert.ok(files.open('/run/hugepage/acrn/lock', (fd) => seen.push(fd)));
    assert.equal(seen[0], seen[1]);
    for (const folder of ['/run', '/run/hugepage', '/run/hugepage/acrn']) assert.ok(files.has(folder), folder);
    files.close();
  });

  test('is the real one in all else', () => {
    const files = new ServiceVmFiles();
    for (const path of ['/etc/passwd', '/sys/firmware/acpi/tables/DSDT', '/run/hugepage/acrn/other', '/'])
      assert.deepEqual([contentOf(files, path), files.has(path)], [undefined, false], path);
  });
});
