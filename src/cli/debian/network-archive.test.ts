import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parseNet } from '../net-option.js';
import { readCpio } from './fixtures/read-cpio.js';
import { networkArchive } from './network-archive.js';

const run = promisify(execFile);
const files = (...nets: string[]): Map<string, string> =>
  new Map(readCpio(networkArchive(nets.map(parseNet))).map(({ path, content }) => [path, content]));

test('without cards there is no archive', () => {
  assert.equal(networkArchive([]).length, 0);
});

test('each card is brought up in its order, and gets an address where there is a DHCP server', () => {
  const script = files('hub:lab', 'passt').get('etc/network.sh') ?? '';
  const lines = script.trim().split('\n');
  assert.deepEqual(lines.slice(0, 3), ['ip link set lo up', 'ip link set eth0 up', 'ip link set eth1 up']);
  assert.equal(lines.length, 4);
  assert.match(lines[3] ?? '', /^udhcpc .*-i eth1 .*eth1 got no address/);
});

test('a lease sets the address, the MTU, the route and the name servers', async (t) => {
  const script = files('passt').get('etc/udhcpc.script') ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'upcall-lease-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'resolv.conf');
  await writeFile(file, '');
  // The commands are functions that print, and the file of name servers is in a folder of the test.
  const lease = async (event: string, variables: Record<string, string>): Promise<string> => {
    const ip =
      'ip() { echo "ip $*"; [ "$5" = "$UNREACHABLE" ] && [ -z "$added" ] && added=1 && return 1; return 0; }\n';
    const body = `${script.replaceAll('/etc/resolv.conf', file).replace('exit 0', '')}\ncat ${file}`;
    return (
      await run('sh', ['-c', ip + body, 'sh', event], {
        env: { interface: 'eth0', UNREACHABLE: 'no address', ...variables },
      })
    ).stdout;
  };
  assert.equal(await lease('deconfig', {}), 'ip -4 addr flush dev eth0\nip link set eth0 up\n');
  assert.equal(
    await lease('bound', {
      ip: '10.0.0.5',
      mask: '16',
      mtu: '1400',
      router: '10.0.0.1',
      dns: '9.9.9.9 1.1.1.1',
      domain: 'x.y',
    }),
    [
      'ip -4 addr flush dev eth0',
      'ip addr add 10.0.0.5/16 dev eth0',
      'ip link set eth0 mtu 1400',
      'ip route add default via 10.0.0.1 dev eth0',
      'search x.y',
      'nameserver 9.9.9.9',
      'nameserver 1.1.1.1',
      '',
    ].join('\n'),
  );
  assert.equal(
    await lease('renew', { ip: '10.0.0.5', router: '10.9.9.9', UNREACHABLE: '10.9.9.9' }),
    [
      'ip -4 addr flush dev eth0',
      'ip addr add 10.0.0.5/24 dev eth0',
      'ip route add default via 10.9.9.9 dev eth0',
      'ip route add 10.9.9.9 dev eth0',
      'ip route add default via 10.9.9.9 dev eth0',
      '',
    ].join('\n'),
  );
});
