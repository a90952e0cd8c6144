/** Debian on a network: two machines on a hub, and one that reaches a server by passt. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readPackets } from '../../device-model/network/fixtures/read-pcapng.js';
import { host } from '../../host/current.js';
import { whyNoDebian, whyNoPasst } from './needed-guest.js';
import { MAIN, start, upcall } from './upcall-process.js';

// The first run fetches a kernel, and a busy machine boots it slowly.
const LIMIT_MS = 400_000;
const folder = mkdtempSync(join(tmpdir(), 'upcall-net-'));
after(() => rmSync(folder, { recursive: true }));

const noDebian = await whyNoDebian();
const noHub = (await host.openLocalSockets().catch(() => undefined)) === undefined && 'no local sockets on this host';

test(
  'two Debians on a hub ping each other and open a connection',
  { skip: noDebian || noHub, timeout: LIMIT_MS },
  async () => {
    const options = { limitMs: LIMIT_MS, env: { XDG_RUNTIME_DIR: folder } };
    const RANDOM = 'dd if=/dev/urandom of=/tmp/r bs=65536 count=16 2>/dev/null; echo sum $(md5sum < /tmp/r)';
    const [FIRST, SECOND] = ['52:54:00:00:00:01', '52:54:00:00:00:02'];
    // Each stays until the other one has ended the connection.
    const first = start(
      process.execPath,
      [
        MAIN,
        'run',
        'debian',
        '--net',
        `hub:e2e,mac=${FIRST}`,
        '--run',
        [
          'ip addr add 10.1.2.1/24 dev eth0',
          'echo first | nc -l -p 5000',
          RANDOM,
          'nc -l -p 5001 < /tmp/r',
          'nc -l -p 5002 | md5sum',
        ].join('; '),
      ],
      options,
    );
    const pcap = join(folder, 'second.pcapng');
    const commands = [
      'ip addr add 10.1.2.2/24 dev eth0',
      'until ping -c 1 -W 1 10.1.2.1 >/dev/null; do :; done',
      'ping -c 2 10.1.2.1',
      'until echo second | nc 10.1.2.1 5000; do sleep 1; done',
      // In long segments, which the first one's process cuts for the second one.
      RANDOM,
      // nc at the other side ends with its input's connection, so that must stay open.
      'mkfifo /tmp/open; exec 3<>/tmp/open',
      'until nc 10.1.2.1 5001 <&3 > /tmp/in; test -s /tmp/in; do sleep 1; done; md5sum < /tmp/in',
      'until nc 10.1.2.1 5002 < /tmp/r; do sleep 1; done',
    ].join('; ');
    const second = await upcall(
      ['run', 'debian', '--net', `hub:e2e,mac=${SECOND},pcap=${pcap}`, '--run', commands],
      '',
      options,
    );
    const { stdout, stderr, status } = await first.ended;
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.equal(second.status, 0, `${second.stdout}\n${second.stderr}`);
    assert.match(second.stdout, /2 packets transmitted, 2 packets received, 0% packet loss/);
    assert.match(second.stdout, /^first\r?$/m);
    assert.match(stdout, /^second\r?$/m);
    assert.match(stderr + second.stderr, /virtio-net hub e2e: served at .*hub-e2e\.sock/);
    const sums = (text: string): string[] => text.match(/\b[0-9a-f]{32}\b/g) ?? [];
    const [firstMade, firstGot] = sums(stdout);
    const [secondMade, secondGot] = sums(second.stdout);
    assert.ok(firstMade !== undefined && secondMade !== undefined);
    assert.deepEqual([secondGot, firstGot], [firstMade, secondMade]);
    const packets = readPackets(readFileSync(pcap));
    /** Packets of an ICMP type, from one card to the other. */
    const echoes = (direction: 'in' | 'out', type: number, from: string, to: string): number =>
      packets.filter(
        ({ frame, direction: is }) =>
          is === direction &&
          frame.toString('hex', 0, 14) === `${to}${from}0800`.replaceAll(':', '') &&
          frame[23] === 1 &&
          frame[34] === type,
      ).length;
    assert.ok(echoes('out', 8, SECOND, FIRST) >= 3, 'requests');
    assert.ok(echoes('in', 0, FIRST, SECOND) >= 3, 'replies');
  },
);

test(
  'Debian gets an address of passt and fetches from a server of the host',
  { skip: noDebian || whyNoPasst(), timeout: LIMIT_MS },
  async (t) => {
    const body = randomBytes(500_000);
    const server = createServer((_, response) => response.end(body));
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const pcap = join(folder, 'passt.pcapng');
    const commands = [
      'ip -4 addr show dev eth0',
      "gateway=$(ip route | awk '/^default/ {print $3}')",
      `wget -q -O - http://$gateway:${port}/ | md5sum`,
    ].join('; ');
    const { status, stdout, stderr } = await upcall(
      ['run', 'debian', '--net', `passt,loopback,pcap=${pcap}`, '--run', commands],
      '',
      { limitMs: LIMIT_MS },
    );
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /inet \d+\.\d+\.\d+\.\d+\/\d+ /);
    assert.ok(stdout.includes(createHash('md5').update(body).digest('hex')), stdout);
    const packets = readPackets(readFileSync(pcap));
    /** UDP or TCP packets over IPv4 to a port. */
    const to = (direction: 'in' | 'out', protocol: number, target: number): number =>
      packets.filter(
        ({ frame, direction: is }) =>
          is === direction &&
          frame.readUInt16BE(12) === 0x0800 &&
          frame[23] === protocol &&
          frame.readUInt16BE(14 + 4 * ((frame[14] ?? 0) & 0xf) + 2) === target,
      ).length;
    assert.ok(to('out', 17, 67) >= 2, 'DHCP: a discovery and a request');
    assert.ok(to('in', 17, 68) >= 2, 'DHCP: an offer and an acknowledgement');
    assert.ok(to('out', 6, port) >= 4, 'the connection to the server');
  },
);
