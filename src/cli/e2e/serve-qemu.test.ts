/**
 * The judge: the same kernel with the same driver program uses the same card in QEMU and under
 * upcall. Both traces have the same accesses to the card's registers, with the same values, and the
 * same messages.
 *
 * What the traces cannot have in common is left out: configuration space and the table of messages
 * (QEMU answers these itself), times, and what other devices do.
 */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deviceOption, qemuMissing, sharedFolder, startQemu } from '../../vfio-user/fixtures/qemu.js';
import { barWindow } from '../../vfio-user/client-hypervisor.js';
import { debianCommandLine } from '../debian/command-line.js';
import { CpioArchive } from '../debian/cpio-archive.js';
import { fetchDebian } from '../debian/fetch-debian.js';
import { whyNoDebian } from './needed-guest.js';
import { MAIN, start } from './upcall-process.js';

const CARD = fileURLToPath(new URL('../../../examples/devices/copier.js', import.meta.url));
const BAR_BYTES = 0x1000;
/** Debian's kernel leaves these pages alone. */
const RESERVED = 'memmap=1M$0x4000000';

/** The driver program: registers in all widths, refused DMA, DMA, and messages of both vectors. */
const PROGRAM = `cd /sys/bus/pci/devices/0000:00:06.0
{ read base x; read table x; } < resource
echo bar $base
echo 1 > enable
devmem 0x4000000 32 0x12345678
devmem $base 32 0x4000000; devmem $((base + 4)) 32 0x4001000; devmem $((base + 8)) 32 16
devmem $((base + 12)) 32 1
echo refused $(devmem $((base + 16)))
printf '\\006' | dd of=config bs=1 seek=4 2>/dev/null
printf '\\200' | dd of=config bs=1 seek=99 2>/dev/null
for entry in 0 16; do
  devmem $((table + entry)) 32 0xfee00000; devmem $((table + entry + 4)) 32 0
  devmem $((table + entry + 8)) 32 0xfd; devmem $((table + entry + 12)) 32 0
done
devmem $((base + 16)) 32 3
devmem $((base + 12)) 32 1
echo copied $(devmem $((base + 16))) $(devmem 0x4001000)
devmem $((base + 8)) 32 0x100001; devmem $((base + 12)) 32 1
for offset in 0 4 8 12 16 20 4092; do
  for size in 8 16 32; do devmem $((base + offset)) $size >/dev/null; devmem $((base + offset)) $size $((offset + size)); done
done
for round in $(seq 20); do
  devmem $((base + 8)) 32 $((round * 64)); devmem $((base + 12)) 32 1
  devmem $((base + 16)) >/dev/null; devmem $((base + 16)) 32 3
done
`;

interface TraceLine {
  readonly interrupt?: string;
  readonly by?: string;
  readonly message?: number;
  readonly to?: string;
  readonly type?: string;
  readonly direction?: string;
  readonly address?: number;
  readonly size?: number;
  readonly value?: number;
}

interface RegisterTrace {
  /** As `write 4+0 = 7`: size, offset, value. */
  readonly accesses: readonly string[];
  /** Numbers within the card. */
  readonly messages: readonly number[];
}

function registerTrace(file: string, bar: number): RegisterTrace {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const all = lines.map((line) => JSON.parse(line) as TraceLine);
  const isRegister = ({ type, address = -1 }: TraceLine): boolean =>
    type === 'mmio' && address >= bar && address < bar + BAR_BYTES;
  return {
    accesses: all
      .filter((line) => line.to === 'COMPLETE' && isRegister(line))
      .map(({ direction, size, address = 0, value }) => `${direction} ${size}+${address - bar} = ${value}`),
    messages: all.filter(({ interrupt }) => interrupt === 'sent').map(({ message = -1 }) => message),
  };
}

async function underUpcall(folder: string): Promise<{ readonly trace: RegisterTrace; readonly output: string }> {
  const overlay = join(folder, 'overlay');
  mkdirSync(overlay);
  writeFileSync(join(overlay, 'drive.sh'), PROGRAM);
  const file = join(folder, 'upcall.jsonl');
  const { status, stdout, stderr } = await start(process.execPath, [
    ...[MAIN, 'trace', 'debian', '--device', `${CARD}@pci:00:06.0`, '--overlay', overlay],
    ...['--cmdline', RESERVED, '--run', 'sh /drive.sh', '--client', 'copier', '--interrupts', '--jsonl', file],
  ]).ended;
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  const bar = Number(/^bar (0x[0-9a-f]+)\r?$/m.exec(stdout)?.[1]);
  return { trace: registerTrace(file, bar), output: stdout };
}

async function inQemu(
  t: TestContext,
  folder: string,
): Promise<{ readonly trace: RegisterTrace; readonly output: string }> {
  const shared = sharedFolder();
  const file = join(folder, 'qemu.jsonl');
  const socket = join(shared.path, 'card');
  const serving = start(process.execPath, [
    ...[MAIN, 'serve', '--vfio-user', socket, '--device', `${CARD}@pci`, '--trace', file],
  ]);
  try {
    const { kernel, initrd } = await fetchDebian();
    cpSync(kernel, join(shared.path, 'kernel'));
    const program = new CpioArchive().file('drive.sh', PROGRAM).bytes();
    writeFileSync(join(shared.path, 'initrd'), Buffer.concat([readFileSync(initrd), program]));
    await new Promise<void>((resolve, reject) => {
      let text = '';
      serving.child.stderr.on('data', (bytes: Buffer) => {
        text += String(bytes);
        if (text.includes('is served')) resolve();
      });
      serving.child.once('close', () => reject(new Error(text)));
    });
    const qemu = startQemu([
      ...['-machine', 'q35,memory-backend=ram', '-m', '128', '-object', 'memory-backend-memfd,id=ram,size=128M'],
      ...['-accel', 'tcg', '-display', 'none', '-nodefaults', '-no-reboot', '-serial', 'stdio'],
      ...['-kernel', shared.inQemu('kernel'), '-initrd', shared.inQemu('initrd')],
      ...['-append', debianCommandLine(`${RESERVED} upcall.run="sh /drive.sh"`)],
      ...deviceOption(shared.inQemu('card'), { addr: '6' }),
    ]);
    t.after(() => qemu.kill('SIGKILL'));
    let output = '';
    qemu.stdout.on('data', (bytes: Buffer) => (output += String(bytes)));
    qemu.stderr.on('data', (bytes: Buffer) => (output += String(bytes)));
    await new Promise((resolve) => qemu.once('close', resolve));
    serving.child.kill('SIGINT');
    const { status, stderr } = await serving.ended;
    assert.equal(status, 0, `${output}\n${stderr}`);
    return { trace: registerTrace(file, barWindow(0, false)), output };
  } finally {
    serving.child.kill();
    shared.remove();
  }
}

const skip = qemuMissing === false ? await whyNoDebian() : qemuMissing;

test(
  'a card that the same program drives in QEMU and under upcall has the same trace',
  { skip, timeout: 280_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-same-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const here = await underUpcall(folder);
    const there = await inQemu(t, folder);
    for (const { output } of [here, there]) {
      assert.match(output, /^refused 0x00000002\r?$/m);
      assert.match(output, /^copied 0x00000001 0x12345678\r?$/m);
    }
    t.diagnostic(`${here.trace.accesses.length} accesses, ${here.trace.messages.length} messages`);
    assert.deepEqual(there.trace, here.trace);
    assert.ok(here.trace.accesses.length > 100, here.output);
    assert.ok(here.trace.messages.includes(0) && here.trace.messages.includes(1), String(here.trace.messages));
  },
);
