/**
 * The judge: cards that are plugged into a QEMU whose Debian guest runs, and unplugged again. The
 * guest's kernel finds each one, its shell and its own disk driver use them, and it lets them go.
 *
 * Only the card without MSI-X is unplugged: QEMU 11.1 aborts when it removes one with it
 * (docs/real-vmms.md).
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CpioArchive } from '../cli/debian/cpio-archive.js';
import { loadCard } from '../device-model/placement/device-module.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { openDiskCard } from '../device-model/virtio/block/disk-card.js';
import type { UserVm } from '../vm/user-vm.js';
import type { CreateServedCard } from './card-server.js';
import { guestFile, memoryOptions, qemuMissing, sharedFolder, startQemu } from './fixtures/qemu.js';
import { Qmp } from './fixtures/qmp.js';
import { serveVfioUser, type ServedCard } from './serve.js';

const DISK_BYTES = 2 ** 20;

/** The first program. It waits for each card to come and to go. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /bin /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
insmod /virtio_blk.ko
echo ready
messages() { awk '/RES:/ { print $2 }' /proc/interrupts; }
await_card() {
  until id=$(grep -l $1 /sys/bus/pci/devices/*/device); do sleep 0.2; done
  function=\${id%/device}
  cd $function
  { read base x; read table x; } < resource
  echo 1 > enable
  printf '\\006' | dd of=config bs=1 seek=4 2>/dev/null
  before=$(messages)
}
await_message() { until [ "$(messages)" -gt "$before" ]; do sleep 0.2; done; echo "message $1"; }
for round in 1 2; do
  await_card 0x0d09
  echo "time $round $(devmem $((base + 4)))"
  printf '\\000\\000\\340\\376\\000\\000\\000\\000\\375\\000' | dd of=config bs=1 seek=76 2>/dev/null
  printf '\\001' | dd of=config bs=1 seek=74 2>/dev/null
  devmem $((base + 4)) 32 50; devmem $base 32 1
  await_message $round
  echo "expired $round $(devmem $((base + 12)))"
  cd /
  while [ -e $function ]; do sleep 0.2; done
  echo "gone $round"
done
await_card 0x0c09
devmem $table 32 0xfee00000; devmem $((table + 4)) 32 0; devmem $((table + 8)) 32 0xfd; devmem $((table + 12)) 32 0
printf '\\200' | dd of=config bs=1 seek=99 2>/dev/null
devmem 0x8000000 32 0x12345678
devmem $base 32 0x8000000; devmem $((base + 4)) 32 0x8001000; devmem $((base + 8)) 32 4
devmem $((base + 12)) 32 1
await_message copier
echo "copied $(devmem 0x8001000)"
cd /
until [ -e /dev/vda ]; do sleep 0.2; done
echo "disk $(md5sum < /dev/vda | cut -d' ' -f1)"
poweroff -f
`;

function initialRamDisk(): Buffer {
  const archive = new CpioArchive().directory('bin').directory('dev');
  archive.file('bin/busybox', readFileSync(guestFile('busybox')), 0o755).file('init', INIT, 0o755);
  archive.characterDevice('dev/console', 5, 1).file('virtio_blk.ko', readFileSync(guestFile('virtio_blk.ko')));
  return archive.bytes();
}

function example(name: string, { clock }: UserVm): Promise<PciCard> {
  const module = new URL(`../../examples/devices/${name}.js`, import.meta.url).href;
  return loadCard(module, { clock } as never, undefined);
}

describe('hot plug in QEMU', { skip: qemuMissing, timeout: 280_000 }, () => {
  test('a running guest takes a card, lets it go and takes it again, then one with MSI-X and a disk', async (t) => {
    const folder = sharedFolder();
    const contents = randomBytes(DISK_BYTES);
    writeFileSync(join(folder.path, 'disk'), contents);
    writeFileSync(join(folder.path, 'initrd'), initialRamDisk());
    writeFileSync(join(folder.path, 'vmlinuz'), readFileSync(guestFile('vmlinuz')));
    const disk = { name: 'disk', file: join(folder.path, 'disk'), isReadOnly: true, queues: 2, id: 'disk' };
    const cards: Readonly<Record<string, CreateServedCard>> = {
      watchdog: (vm) => example('watchdog', vm),
      copier: (vm) => example('copier', vm),
      disk: () => openDiskCard(disk, (message) => t.diagnostic(message)),
    };
    const served: ServedCard[] = [];
    for (const [name, card] of Object.entries(cards))
      served.push(await serveVfioUser(card, join(folder.path, `${name}.sock`), { name }));
    const qemu = startQemu([
      ...memoryOptions(512, true),
      ...['-accel', 'tcg', '-smp', '2', '-display', 'none', '-nodefaults', '-no-reboot', '-serial', 'stdio'],
      ...['-kernel', folder.inQemu('vmlinuz'), '-initrd', folder.inQemu('initrd')],
      ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off memmap=1M$0x8000000'],
      ...['-device', 'pcie-root-port,id=slot1,chassis=1', '-device', 'pcie-root-port,id=slot2,chassis=2'],
      ...['-qmp', `unix:${folder.inQemu('qmp')},server=on,wait=off`],
    ]);
    t.after(async () => {
      qemu.kill('SIGKILL');
      await Promise.all(served.map((one) => one.close()));
      folder.remove();
    });
    let text = '';
    let check = (): void => undefined;
    const isOver = new Promise<void>((resolve) => qemu.once('close', () => resolve()));
    for (const stream of [qemu.stdout, qemu.stderr])
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        check();
      });
    /** The rest of the guest's line that begins with this. */
    const line = (beginning: string): Promise<string> =>
      Promise.race([
        new Promise<string>((resolve) => {
          check = () => {
            const found = text
              .split('\n')
              .slice(0, -1)
              .find((one) => one.startsWith(beginning));
            if (found !== undefined) resolve(found.slice(beginning.length).trim());
          };
          check();
        }),
        isOver.then(() => assert.fail(`QEMU ended before "${beginning}": ${text}`)),
      ]);

    await line('ready');
    const monitor = await Qmp.open(join(folder.path, 'qmp'));
    t.after(() => monitor.close());
    const plug = (id: string, bus: string): Promise<void> =>
      monitor.command('device_add', {
        driver: 'vfio-user-pci',
        id,
        bus,
        socket: { path: folder.inQemu(`${id}.sock`), type: 'unix' },
      });
    for (const round of [1, 2]) {
      await plug('watchdog', 'slot1');
      assert.equal(await line(`time ${round} `), '0x000003E8', 'as after power-on');
      await line(`message ${round}`);
      assert.equal(await line(`expired ${round} `), '0x00000001');
      await monitor.remove('watchdog');
      await line(`gone ${round}`);
    }
    await plug('copier', 'slot1');
    await line('message copier');
    assert.equal(await line('copied '), '0x12345678');
    await plug('disk', 'slot2');
    assert.equal(await line('disk '), createHash('md5').update(contents).digest('hex'));
    await isOver;
    assert.deepEqual(
      served.map(({ client }) => (client?.interrupts ?? 0) > 0),
      [true, true, true],
    );
  });
});
