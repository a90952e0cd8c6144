/**
 * The judge: Debian's amd64 kernel with four processors in QEMU. Its own drivers use upcall's
 * virtio block and network cards, and its user space drives an example card with DMA and MSI-X.
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { CpioArchive } from '../cli/debian/cpio-archive.js';
import { loadCard } from '../device-model/placement/device-module.js';
import { openDiskCard } from '../device-model/virtio/block/disk-card.js';
import { VirtioNet } from '../device-model/virtio/net/virtio-net.js';
import { virtioPciCard } from '../device-model/virtio/virtio-pci-card.js';
import { AnsweringPort } from './fixtures/answering-port.js';
import { deviceOption, guestFile, memoryOptions, qemuMissing, sharedFolder, startQemu } from './fixtures/qemu.js';
import { serveVfioUser, type ServedCard } from './serve.js';

const DISK_BYTES = 8 * 2 ** 20;
const MODULES = ['failover', 'net_failover', 'virtio_net', 'virtio_blk'];

/** The first program. What it prints is compared. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /bin /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in ${MODULES.join(' ')}; do insmod /$module.ko; done
echo "processors $(grep -c ^processor /proc/cpuinfo)"
echo "disk $(md5sum < /dev/vda | cut -d' ' -f1)"
for part in 0 1 2 3; do dd if=/dev/urandom of=/tmp$part bs=4096 count=64 2>/dev/null; done
for part in 0 1 2 3; do dd if=/tmp$part of=/dev/vda bs=4096 seek=$((part * 512)) count=64 conv=fsync 2>/dev/null & done
wait
echo 3 > /proc/sys/vm/drop_caches
for part in 0 1 2 3; do dd if=/dev/vda bs=4096 skip=$((part * 512)) count=64 2>/dev/null | cmp - /tmp$part || echo "part $part differs"; done
echo "written $(md5sum < /dev/vda | cut -d' ' -f1)"
if [ -e /sys/class/net/eth0 ]; then
ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0
echo "net $(ping -c 5 -i 0.2 -W 5 10.0.0.2 | grep -o '[0-9]* packets received')"
cd /sys/bus/pci/devices/0000:00:05.0
{ read base x; read table x; } < resource
echo 1 > enable
printf '\\006' | dd of=config bs=1 seek=4 2>/dev/null
devmem $table 32 0xfee00000; devmem $((table + 4)) 32 0; devmem $((table + 8)) 32 0xfd; devmem $((table + 12)) 32 0
printf '\\200' | dd of=config bs=1 seek=99 2>/dev/null
devmem 0x8000000 32 0x12345678
before=$(awk '/RES:/ { print $2 }' /proc/interrupts)
devmem $base 32 0x8000000; devmem $((base + 4)) 32 0x8001000; devmem $((base + 8)) 32 4
devmem $((base + 12)) 32 1
echo "copied $(devmem $((base + 16))) $(devmem 0x8001000)"
after=$(awk '/RES:/ { print $2 }' /proc/interrupts)
[ "$after" -gt "$before" ] && echo "message arrived"
fi
echo "interrupts $(grep -c 'PCI-MSIX.*virtio' /proc/interrupts)"
echo finished
poweroff -f
`;

function initialRamDisk(): Buffer {
  const archive = new CpioArchive().directory('bin').directory('dev');
  archive.file('bin/busybox', readFileSync(guestFile('busybox')), 0o755).file('init', INIT, 0o755);
  archive.characterDevice('dev/console', 5, 1);
  for (const module of MODULES) archive.file(`${module}.ko`, readFileSync(guestFile(`${module}.ko`)));
  return archive.bytes();
}

/**
 * With RAM of QEMU's own only the disk: while one card waits for its DMA, no card of this process
 * answers, and QEMU stands still until one does.
 */
async function run(
  t: TestContext,
  isShared: boolean,
): Promise<{
  readonly lines: string[];
  readonly served: ServedCard[];
  readonly port: AnsweringPort;
  readonly disk: string;
  readonly before: Buffer;
}> {
  const folder = sharedFolder();
  const before = randomBytes(DISK_BYTES);
  const disk = join(folder.path, 'disk');
  writeFileSync(disk, before);
  writeFileSync(join(folder.path, 'initrd'), initialRamDisk());
  writeFileSync(join(folder.path, 'vmlinuz'), readFileSync(guestFile('vmlinuz')));
  const port = new AnsweringPort();
  const copier = new URL('../../examples/devices/copier.js', import.meta.url).href;
  const diskOptions = { name: 'disk', file: disk, isReadOnly: false, queues: 4, id: 'disk' };
  const cards = {
    disk: await openDiskCard(diskOptions, (message) => t.diagnostic(message)),
    net: virtioPciCard(new VirtioNet({ port })),
    copier: await loadCard(copier, {} as never, undefined),
  };
  const served: ServedCard[] = [];
  t.after(async () => {
    await Promise.all(served.map((one) => one.close()));
    folder.remove();
  });
  for (const [name, card] of Object.entries(cards).slice(0, isShared ? undefined : 1))
    served.push(await serveVfioUser(card, join(folder.path, `${name}.sock`), { name, statistics: true }));
  const command = 'console=ttyS0 quiet panic=-1 mitigations=off memmap=1M$0x8000000';
  const qemu = startQemu([
    ...memoryOptions(512, isShared),
    ...['-accel', 'tcg,thread=multi', '-smp', '4', '-display', 'none', '-nodefaults', '-no-reboot'],
    ...[
      '-serial',
      'stdio',
      '-kernel',
      folder.inQemu('vmlinuz'),
      '-initrd',
      folder.inQemu('initrd'),
      '-append',
      command,
    ],
    ...served.flatMap(({ vm }, i) => deviceOption(folder.inQemu(`${vm.name}.sock`), { addr: String(3 + i) })),
  ]);
  t.after(() => qemu.kill('SIGKILL'));
  let text = '';
  qemu.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  qemu.stderr.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await new Promise((resolve) => qemu.once('close', resolve));
  t.diagnostic(text);
  const lines = text.split('\n').map((line) => line.trim());
  return { lines, served, port, disk, before };
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

describe('a Debian guest with four processors in QEMU', { skip: qemuMissing, timeout: 280_000 }, () => {
  for (const isShared of [true, false])
    test(`uses disk, network and example card with RAM that is ${isShared ? 'mapped' : 'reached by messages'}`, async (t) => {
      const { lines, served, port, disk, before } = await run(t, isShared);
      const value = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1);
      assert.equal(value('processors'), '4');
      assert.equal(value('disk'), md5(before), 'the disk is read as it is');
      assert.deepEqual(
        lines.filter((line) => line.includes('differs')),
        [],
      );
      assert.ok(lines.includes('finished'));
      if (isShared) {
        assert.equal(value('net'), '5 packets received');
        assert.equal(value('copied'), '0x00000001 0x12345678');
        assert.ok(lines.includes('message arrived'));
        assert.ok(port.pings >= 5);
      }
      for (const one of served) {
        assert.ok((one.client?.interrupts ?? 0) > 0, `${one.vm.name}: ${JSON.stringify(one.client)}`);
        assert.ok((one.vm.statistics()?.requests ?? 0) > 0);
        await one.close();
      }
      assert.equal(value('written'), md5(readFileSync(disk)), 'what was written is in the file');
      assert.notEqual(value('written'), value('disk'));
    });
});
