/** Captures: the file as other programs read it, and what happens if the disk is slow or full. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { host } from '../../host/current.js';
import type { OutputFile } from '../../host/output-file.js';
import { CaptureFile, MAX_WAITING_CAPTURE_BYTES } from './capture-file.js';
import { CapturePort } from './capture-port.js';
import { readOptions, readPcapng, type PcapngBlock } from './fixtures/read-pcapng.js';
import { testFrame, TestPort } from './fixtures/test-port.js';
import { Direction, fileHeader, packetBlock, statisticsBlock } from './pcapng.js';

const A = '52:00:00:00:00:0a';
const B = '52:00:00:00:00:0b';
const folder = mkdtempSync(join(tmpdir(), 'upcall-capture-'));
after(() => rmSync(folder, { recursive: true }));

describe('a capture', () => {
  test('has a section, an interface, the packets with their directions and times, and statistics', async () => {
    const path = join(folder, 'blocks.pcapng');
    const before = Date.now() - 1;
    const port = new TestPort();
    const capture = new CapturePort(port, await CaptureFile.create(path, 'virtio-net'));
    const received: Uint8Array[] = [];
    const links: boolean[] = [];
    capture.connect({ receive: (frame) => received.push(frame.slice()), setLink: (isUp) => links.push(isUp) });
    const frames = [60, 61, 62, 63, 1514].map((bytes, seed) => testFrame(A, B, { bytes, seed }));
    for (const [i, frame] of frames.entries()) {
      if (i % 2 === 0) capture.send(frame);
      else port.deliver(frame);
    }
    await capture.close();
    assert.ok(port.isClosed);
    assert.deepEqual(port.sent, [frames[0], frames[2], frames[4]]);
    assert.deepEqual(received, [frames[1], frames[3]]);
    assert.deepEqual(links, [true]);

    const [section, card, ...rest] = readPcapng(readFileSync(path)) as [PcapngBlock, PcapngBlock, ...PcapngBlock[]];
    assert.equal(section.type, 0x0a0d0d0a);
    assert.equal(section.body.toString('hex', 0, 16), '4d3c2b1a01000000ffffffffffffffff');
    assert.equal(readOptions(section.body, 16).get(4)?.toString(), 'upcall');
    assert.equal(card.type, 1);
    assert.equal(card.body.toString('hex', 0, 8), '0100000000000000');
    assert.equal(readOptions(card.body, 8).get(2)?.toString(), 'virtio-net');
    const statistics = rest.pop() as PcapngBlock;
    assert.equal(rest.length, frames.length);
    for (const [i, { type, body }] of rest.entries()) {
      const frame = frames[i] as Uint8Array;
      assert.equal(type, 6);
      assert.deepEqual(
        [body.readUInt32LE(0), body.readUInt32LE(12), body.readUInt32LE(16)],
        [0, frame.length, frame.length],
      );
      const us = body.readUInt32LE(4) * 2 ** 32 + body.readUInt32LE(8);
      assert.ok(us / 1000 >= before && us / 1000 <= Date.now() + 1, 'the time is now');
      assert.deepEqual(new Uint8Array(body.subarray(20, 20 + frame.length)), frame);
      const flags = readOptions(body, 20 + ((frame.length + 3) & ~3)).get(2);
      assert.deepEqual(flags, Buffer.from([i % 2 === 0 ? Direction.OUT : Direction.IN, 0, 0, 0]));
    }
    assert.equal(statistics.type, 5);
    const counts = readOptions(statistics.body, 12);
    assert.equal(counts.get(4)?.readBigUInt64LE(), 5n);
    assert.equal(counts.get(5)?.readBigUInt64LE(), 0n);
  });

  test('of nothing is a valid file, and nothing is added after close', async () => {
    const path = join(folder, 'empty.pcapng');
    const file = await CaptureFile.create(path, 'x');
    await file.close();
    await file.close();
    file.add(testFrame(A, B), Direction.IN);
    assert.equal(file.packets, 0);
    assert.equal(readPcapng(readFileSync(path)).length, 3);
    assert.equal(file.problem, undefined);
  });

  test('replaces an older file', async () => {
    const path = join(folder, 'old.pcapng');
    writeFileSync(path, 'x'.repeat(10_000));
    await (await CaptureFile.create(path, 'x')).close();
    assert.equal(readPcapng(readFileSync(path)).length, 3);
  });

  test('that cannot be written is an error that says why', async () => {
    for (const [path, reason] of [
      [join(folder, 'missing/x.pcapng'), /ENOENT/],
      [folder, /EISDIR/],
    ] as const)
      await assert.rejects(CaptureFile.create(path, 'x'), { code: 'OPTION_INVALID', message: reason, remedy: /pcap=/ });
  });

  test('whose header cannot be written is closed again', async (t) => {
    let isClosed = false;
    const file: OutputFile = {
      write: () => Promise.reject(new Error('full')),
      close: () => Promise.resolve(void (isClosed = true)),
    };
    t.mock.method(host, 'createFile', () => Promise.resolve(file));
    await assert.rejects(CaptureFile.create('x.pcapng', 'virtio-net'), { code: 'OPTION_INVALID', message: /full/ });
    assert.ok(isClosed);
  });

  test('into a pipe that nothing reads is an error', { skip: process.platform === 'win32' && 'no pipes' }, async () => {
    const path = join(folder, 'pipe');
    assert.equal(spawnSync('mkfifo', [path]).status, 0);
    await assert.rejects(CaptureFile.create(path, 'x'), { code: 'OPTION_INVALID', message: /ENXIO/ });
  });
});

/** A disk whose writes the test finishes. */
class SlowFile implements OutputFile {
  readonly written: Uint8Array[] = [];
  readonly #finish: ((error?: Error) => void)[] = [];
  isClosed = false;

  write(bytes: Uint8Array): Promise<void> {
    this.written.push(bytes);
    return new Promise((resolve, reject) =>
      this.#finish.push((error) => (error === undefined ? resolve() : reject(error))),
    );
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  /** Finishes the write under way, and lets the next one begin. */
  async finish(error?: Error): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#finish.shift()?.(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a disk', () => {
  const frame = testFrame(A, B, { bytes: 60_000 });
  const blockBytes = packetBlock(frame, Direction.IN, 0).length;
  const room = Math.ceil(MAX_WAITING_CAPTURE_BYTES / blockBytes);

  test('that is slow costs packets beyond a limit, which are counted, with a report at the end', async () => {
    const disk = new SlowFile();
    const file = new CaptureFile('slow.pcapng', disk);
    const add = (count: number): void => {
      for (let i = 0; i < count; i++) file.add(frame, Direction.IN);
    };
    add(3);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(disk.written.length, 1, 'packets of one callback are one write');
    assert.equal(disk.written[0]?.length, 3 * blockBytes);
    add(room);
    assert.equal(file.dropped, 3, 'those under way count');
    await disk.finish();
    add(3);
    assert.equal(file.dropped, 3, 'what was written makes room');
    add(1);
    assert.equal(file.dropped, 4);
    const closing = file.close();
    await disk.finish();
    await disk.finish();
    await disk.finish();
    await closing;
    assert.ok(disk.isClosed);
    assert.equal(file.packets, room + 7);
    const blocks = readPcapng(Buffer.concat(disk.written));
    assert.equal(blocks.filter(({ type }) => type === 6).length, file.packets - file.dropped);
    const counts = readOptions((blocks.at(-1) as PcapngBlock).body, 12);
    assert.equal(counts.get(4)?.readBigUInt64LE(), BigInt(file.packets));
    assert.equal(counts.get(5)?.readBigUInt64LE(), BigInt(file.dropped));
    assert.equal(file.problem, `slow.pcapng: 4 of ${room + 7} packets are missing, because the disk was too slow`);
  });

  test('that is full ends the capture, with its error at the end, and the packets go on', async () => {
    const disk = new SlowFile();
    const file = new CaptureFile('full.pcapng', disk);
    const port = new TestPort();
    const capture = new CapturePort(port, file);
    capture.send(frame);
    await disk.finish(Object.assign(new Error('disk full'), { code: 'ENOSPC' }));
    capture.send(frame);
    await capture.close();
    assert.equal(disk.written.length, 1);
    assert.ok(disk.isClosed);
    assert.equal(port.sent.length, 2);
    assert.match(file.problem ?? '', /full\.pcapng: writing failed \(ENOSPC\)/);
  });
});

/** A file of both directions, of UDP packets that the programs below can name. */
function sampleFile(): string {
  const path = join(folder, 'sample.pcapng');
  const udp = Buffer.from(
    '52000000000b' +
      '52000000000a' +
      '0800' +
      '4500002000000000401100000a0000010a000002' +
      '1388138a000c0000' +
      'deadbeef',
    'hex',
  );
  const us = Date.UTC(2026, 0, 2, 3, 4, 5) * 1000 + 678;
  writeFileSync(
    path,
    Buffer.concat([
      fileHeader('virtio-net'),
      packetBlock(udp, Direction.OUT, us),
      packetBlock(udp, Direction.IN, us + 1_000_000),
      packetBlock(udp.subarray(0, 45), Direction.IN, us + 2_000_000),
      statisticsBlock(4, 1, us),
    ]),
  );
  return path;
}

for (const [tool, args, expected] of [
  ['capinfos', ['-M'], [/pcapng/, /Ethernet/, /Number of packets: +3/, /Name = virtio-net/, /application: +upcall/i]],
  [
    'tshark',
    '-T fields -e frame.time_epoch -e frame.packet_flags_direction -e udp.dstport -e frame.interface_name -r'.split(
      ' ',
    ),
    [
      /^1767323045\.000678000\t(?:0x0000000)?2\t5002\tvirtio-net$/m,
      /^1767323046\.000678000\t(?:0x0000000)?1\t5002\tvirtio-net$/m,
    ],
  ],
  ['tcpdump', ['-nn', '-tt', '-r'], [/1767323045\.000678 IP 10\.0\.0\.1\.5000 > 10\.0\.0\.2\.5002: UDP, length 4/]],
] as const) {
  const isMissing = spawnSync(tool, ['--version']).status !== 0;
  test(`${tool} reads it`, { skip: isMissing && `${tool} is not installed`, timeout: 60_000 }, () => {
    const { stdout, stderr } = spawnSync(tool, [...args, sampleFile()], { encoding: 'utf8' });
    for (const pattern of expected) assert.match(stdout, pattern, stderr);
  });
}
