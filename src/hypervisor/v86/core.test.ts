import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { VcpuStopped } from '../io-handler.js';
import { HALTED_FOREVER, TripleFault } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { TRAPS_PER_POLL } from './core.js';
import { ENTRY, FLAT, imm32, TestMachine } from './fixtures/test-machine.js';

/** Rounds of a loop until its code is surely translated. */
const HOT = 100_000;

/** mov ecx, rounds; round: body; dec ecx; jnz round; hlt */
function loop(rounds: number, body: readonly number[]): number[] {
  const back = -(body.length + 7);
  return [0xb9, ...imm32(rounds), ...body, 0x49, 0x0f, 0x85, ...imm32(back), 0xf4];
}

test('every access reaches the handler with its exact size and value', async () => {
  const machine = await TestMachine.create();
  // prettier-ignore
  machine.load([
    0x66, 0xba, 0x00, 0x05,                   // mov dx, 0x500
    0xec, 0x66, 0xed, 0xed,                   // in al, dx; in ax, dx; in eax, dx
    0xee, 0x66, 0xef, 0xef,                   // out dx, al; out dx, ax; out dx, eax
    0xa0, 0x01, 0x00, 0x00, 0xd0,             // mov al, [0xd0000001]
    0x66, 0xa1, 0x03, 0x00, 0x00, 0xd0,       // mov ax, [0xd0000003], unaligned
    0xa1, 0x05, 0x00, 0x00, 0xd0,             // mov eax, [0xd0000005]
    0xa2, 0x08, 0x00, 0x00, 0xd0,             // mov [0xd0000008], al
    0x66, 0xa3, 0x08, 0x00, 0x00, 0xd0,       // mov [0xd0000008], ax
    0xa3, 0x08, 0x00, 0x00, 0xd0,             // mov [0xd0000008], eax
    0xf4,                                     // hlt
  ]);
  assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
  assert.deepEqual(machine.accesses, [
    'in 500/1',
    'in 500/2',
    'in 500/4',
    'out 500/1 b4',
    'out 500/2 a3b4',
    'out 500/4 8192a3b4',
    'load d0000001/1',
    'load d0000003/2',
    'load d0000005/4',
    'store d0000008/1 b4',
    'store d0000008/2 a3b4',
    'store d0000008/4 8192a3b4',
  ]);
});

test('a 64-bit store is one access, a 128-bit store two, a 64-bit load two of 32 bits', async () => {
  const machine = await TestMachine.create({ value: 0x1122_3344 });
  // prettier-ignore
  machine.load([
    0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x00, 0x00, 0x0f, 0x22, 0xe0, // mov eax, cr4; or eax, OSFXSR; mov cr4, eax
    0x0f, 0x6f, 0x05, 0x00, 0x00, 0x00, 0xd0, // movq mm0, [0xd0000000]
    0x0f, 0x7f, 0x05, 0x10, 0x00, 0x00, 0xd0, // movq [0xd0000010], mm0
    0x0f, 0x57, 0xc0,                         // xorps xmm0, xmm0
    0x0f, 0x29, 0x05, 0x20, 0x00, 0x00, 0xd0, // movaps [0xd0000020], xmm0
    0xf4,                                     // hlt
  ]);
  machine.runUntilHalted();
  assert.deepEqual(machine.accesses, [
    'load d0000000/4',
    'load d0000004/4',
    'store d0000010/8 11223344:11223344',
    'store d0000020/8 0:0',
    'store d0000028/8 0:0',
  ]);
});

test('an access across a page is made in parts, a read-modify-write as one read and one write', async () => {
  const machine = await TestMachine.create();
  // prettier-ignore
  machine.load([
    0x66, 0xa1, 0xff, 0x0f, 0x00, 0xd0,             // mov ax, [0xd0000fff]
    0x81, 0x05, 0x00, 0x00, 0x00, 0xd0, 1, 0, 0, 0, // add dword [0xd0000000], 1
    0xf4,                                           // hlt
  ]);
  machine.runUntilHalted();
  assert.deepEqual(machine.accesses, [
    'load d0000fff/1',
    'load d0001000/1',
    'load d0000000/4',
    'store d0000000/4 8192a3b5',
  ]);
});

// prettier-ignore
const BODIES: readonly (readonly [string, readonly number[], readonly string[]])[] = [
  ['IN of 8 bits', [0x66, 0xba, 0x00, 0x05, 0xec], ['in 500/1']],
  ['OUT of 16 bits', [0x66, 0xba, 0x00, 0x05, 0x66, 0xef], ['out 500/2 0']],
  ['a 16-bit load', [0x66, 0xa1, 0, 0, 0, 0xd0], ['load d0000000/2']],
  ['a 32-bit load', [0xa1, 0, 0, 0, 0xd0], ['load d0000000/4']],
  ['an 8-bit store', [0xc6, 0x05, 0, 0, 0, 0xd0, 7], ['store d0000000/1 7']],
  ['a 64-bit store', [0x0f, 0x7f, 0x05, 0, 0, 0, 0xd0], ['store d0000000/8 0:0']],
  ['a read-modify-write', [0xff, 0x05, 0, 0, 0, 0xd0], ['load d0000000/4', 'store d0000000/4 8192a3b5']],
  [
    'a copy of a device register to another one',
    // mov esi; mov edi; movsd. With the load behind it, some slice ends between its two accesses.
    [0xbe, 0, 0, 0, 0xd0, 0xbf, 0x10, 0, 0, 0xd0, 0xa5, 0xa1, 0x20, 0, 0, 0xd0],
    ['load d0000000/4', 'store d0000010/4 8192a3b4', 'load d0000020/4'],
  ],
  ['a push of a device register', [0xff, 0x35, 0, 0, 0, 0xd0, 0x58], ['load d0000000/4']],
];

for (const translate of [true, false])
  describe(translate ? 'in a loop that is translated' : 'in a loop that is interpreted', () => {
    for (const [name, body, expected] of BODIES)
      test(`${name} happens exactly once a round, and a slice has few of them`, async () => {
        const rounds = translate ? HOT : 5000;
        let count = 0;
        let wrong = 0;
        let inSlice = 0;
        let most = 0;
        const machine = await TestMachine.create({
          translate,
          onAccess: (access) => {
            if (access !== expected[count++ % expected.length]) wrong++;
            most = Math.max(most, ++inSlice);
            machine.accesses.length = 0;
          },
        });
        machine.load(loop(rounds, body));
        let haltedMs: number;
        do {
          inSlice = 0;
          haltedMs = machine.core.run();
        } while (haltedMs === 0);
        assert.equal(haltedMs, HALTED_FOREVER);
        assert.equal(wrong, 0);
        assert.equal(count, rounds * expected.length);
        assert.equal(machine.core.translationCount > 0, translate);
        assert.equal(machine.core.generalRegister(GeneralRegister.ECX), 0);
        // Each access takes 0.05 ms of a 1-ms slice here; the core looks at the time after every so
        // many.
        assert.ok(most <= 2 * TRAPS_PER_POLL, `${most} accesses in one slice`);
      });
  });

test('real mode starts at CS:IP with the segments that were given', async () => {
  const machine = await TestMachine.create();
  // mov al, [0] (DS base 0x90000); out 0x80, al; hlt
  machine.memory.write(0x1_2340, Uint8Array.of(0xa0, 0x00, 0x00, 0xe6, 0x80, 0xf4));
  machine.memory.writeU8(0x9_0000, 0x5a);
  machine.core.start({ mode: 'real', ip: 0x340, cs: { selector: 0x1200 }, ds: { selector: 0x9000 } });
  assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
  assert.deepEqual(machine.accesses, ['out 80/1 5a']);
});

test('RDRAND returns the host’s random numbers', async () => {
  const machine = await TestMachine.create();
  machine.load([0x0f, 0xc7, 0xf0, 0xf4]); // rdrand eax; hlt
  machine.runUntilHalted();
  assert.equal(machine.core.generalRegister(GeneralRegister.EAX), 4);
});

describe('the end of a guest', () => {
  test('an exception without a gate is a triple fault with its address', async () => {
    const machine = await TestMachine.create();
    machine.load([0x0f, 0x0b]); // ud2, and no IDT is loaded
    assert.throws(
      () => machine.runUntilHalted(),
      (error) => error instanceof TripleFault && error.message.includes('0x00008000'),
    );
  });

  test('an error of the handler passes through the core unchanged', async () => {
    const stopped = new VcpuStopped('stopped');
    const machine = await TestMachine.create({
      onAccess: () => {
        throw stopped;
      },
    });
    machine.load([0xa1, 0, 0, 0, 0xd0]); // mov eax, [0xd0000000]
    assert.throws(
      () => machine.runUntilHalted(),
      (error) => error === stopped,
    );
  });
});

test('twenty guests in a row, each ended in another way, start from the same state in the same memory', async () => {
  let mayThrow = false;
  const machine = await TestMachine.create({
    onAccess: () => {
      if (mayThrow) throw new VcpuStopped('stopped');
    },
  });
  const probe = [
    0x0f,
    0x20,
    0xd8,
    0xe7,
    0x80, // mov eax, cr3; out 0x80, eax
    0x9c,
    0x58,
    0xe7,
    0x80, // pushfd; pop eax; out 0x80, eax
    0x0f,
    0x31,
    0xe7,
    0x80, // rdtsc; out 0x80, eax
    0xa1,
    0x20,
    0x03,
    0xe0,
    0xfe, // mov eax, [0xfee00320]: the local APIC's timer entry
    0xe7,
    0x80,
    0xf4, // out 0x80, eax; hlt
  ];
  const endings: readonly (readonly number[])[] = [
    loop(HOT, [0x42]),
    [0x0f, 0x0b],
    [0xc7, 0x05, 0x20, 0x03, 0xe0, 0xfe, 0x40, 0, 2, 0, 0xb8, 0, 0, 0, 0x10, 0x0f, 0x22, 0xd8, 0xa1, 0, 0, 0, 0xd0],
    loop(HOT, [0xff, 0x05, 0, 0, 0, 0xd0]),
  ];
  const { buffer, byteOffset } = machine.core.memory;
  let first: string[] | undefined;
  let totalBytes = 0;
  for (let round = 0; round < 20; round++) {
    machine.load(endings[round % endings.length] as number[]);
    mayThrow = round % 4 === 2;
    try {
      machine.runUntilHalted();
    } catch (error) {
      assert.ok(error instanceof TripleFault || error instanceof VcpuStopped, String(error));
    }
    mayThrow = false;
    machine.accesses.length = 0;
    machine.timeMs = 0;
    machine.load(probe);
    assert.equal(machine.runUntilHalted(0), HALTED_FOREVER);
    first ??= [...machine.accesses];
    assert.deepEqual(machine.accesses, first);
    totalBytes ||= machine.core.totalBytes;
  }
  assert.equal(first?.length, 4);
  assert.equal(machine.core.totalBytes, totalBytes);
  assert.equal(machine.core.memory.buffer, buffer);
  assert.equal(machine.core.memory.byteOffset, byteOffset);
});

test('a reset leaves the RAM alone: the next guest is in it already', async () => {
  const machine = await TestMachine.create();
  machine.load([0xf4]);
  machine.runUntilHalted();
  machine.memory.writeU32(0x5000, 0x1234_5678);
  machine.core.start(FLAT);
  assert.equal(machine.memory.readU32(0x5000), 0x1234_5678);
  assert.equal(machine.memory.readU8(ENTRY), 0xf4);
});

test('a size of RAM that the core cannot have is refused', async () => {
  for (const memoryBytes of [0, 4096, (1 << 20) + 1, 0x8010_0000])
    await assert.rejects(
      TestMachine.create({ memoryBytes }),
      (error) => error instanceof UpcallError && error.code === 'VM_LIMIT',
    );
});
